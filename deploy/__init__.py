"""How Agora is deployed."""
