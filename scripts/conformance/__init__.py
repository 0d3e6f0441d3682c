"""Run FastAPI's own tests through the handler of a generated project, and compare all responses with TestClient's."""
