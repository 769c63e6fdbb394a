"""Strands: python ask_strands.py URL FILE MODEL prints what the model says of a file."""

import sys
from pathlib import Path

from strands import Agent
from strands.models.openai import OpenAIModel
from strands.types.exceptions import MaxTokensReachedException

url, path, name = sys.argv[1:]
client = {"base_url": url, "api_key": "k", "max_retries": 0}
agent = Agent(OpenAIModel(client_args=client, model_id=name, params={"max_tokens": 24}), callback_handler=None)
document = {"format": Path(path).suffix[1:], "name": Path(path).stem, "source": {"bytes": Path(path).read_bytes()}}
try:
    print(agent([{"document": document}, {"text": "What does the file say?"}]))
except MaxTokensReachedException:
    print(agent.messages[-1]["content"][0]["text"])
