"""Where jobs.yaml, the tracker, strategies and handlers meet. Knows no Celery: publishing is handed in."""
