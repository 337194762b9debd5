"""The entry points: command line, Ray job and service. Each app has a container that picks its adapters."""
