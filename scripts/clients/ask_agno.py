"""Agno: python ask_agno.py URL FILE MODEL prints what the model says of a file."""

import sys

from agno.agent import Agent
from agno.media import File
from agno.models.openai import OpenAIResponses
from agno.run.base import RunStatus

url, path, name = sys.argv[1:]
agent = Agent(model=OpenAIResponses(id=name, base_url=url, api_key="k", max_output_tokens=24, max_retries=0))
answer = agent.run("What does the file say?", files=[File(filepath=path)])
if answer.status is not RunStatus.completed:
    sys.exit(f"Error: {answer.content}")
print(answer.content)
