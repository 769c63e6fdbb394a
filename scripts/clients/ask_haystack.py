"""Haystack: python ask_haystack.py URL FILE MODEL prints what the model says of a file."""

import sys

from haystack.components.generators.chat import OpenAIChatGenerator
from haystack.dataclasses import ChatMessage, FileContent
from haystack.utils import Secret

url, path, model = sys.argv[1:]
options = {"max_completion_tokens": 24}
generator = OpenAIChatGenerator(
    Secret.from_token("k"), model, api_base_url=url, generation_kwargs=options, max_retries=0, timeout=120
)
message = ChatMessage.from_user(content_parts=[FileContent.from_file_path(path), "What does the file say?"])
print(generator.run([message])["replies"][0].text)
