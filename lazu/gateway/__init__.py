"""The gateway to the model server: requests with file ids become such that it understands; answers come back."""
