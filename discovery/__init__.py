"""Strategies: parameters in, found items out. They know no tracker, no Celery, and nothing of the runner."""
