"""Pydantic AI: python ask_pydantic_ai.py URL FILE MODEL prints what the model says of a file."""

import sys

from pydantic_ai import Agent, BinaryContent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

url, path, name = sys.argv[1:]
agent = Agent(OpenAIChatModel(name, provider=OpenAIProvider(url, "k")), model_settings={"max_tokens": 24})
print(agent.run_sync([BinaryContent.from_path(path), "What does the file say?"]).output)
