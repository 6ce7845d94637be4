"""Replaying a trace of real LLM requests through the portal's REST API, as a gateway would send them."""
