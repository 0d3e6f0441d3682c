"""The container registry ECR."""
