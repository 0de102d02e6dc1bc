"""How Gunicorn serves the app: its worker in two classes, and what the server itself says."""
