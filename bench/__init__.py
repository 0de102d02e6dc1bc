"""How fast Agora is: measured side by side with what people would use instead. README.md tells how."""
