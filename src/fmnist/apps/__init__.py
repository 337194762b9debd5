"""The processes: command line, Ray job, and what wires them. Each app has a container that picks its adapters."""
