"""Roles, policies, permissions and request signatures of IAM."""
