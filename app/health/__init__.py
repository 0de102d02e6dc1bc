"""Operation: is the service alive, and is it ready for work?"""
