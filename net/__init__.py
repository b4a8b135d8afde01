"""The polite HTTP client: who we say we are, where we may go, and how much we take."""
