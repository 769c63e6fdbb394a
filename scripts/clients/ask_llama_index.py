"""LlamaIndex: python ask_llama_index.py URL FILE MODEL prints what the model says of a file."""

import sys

from llama_index.core.llms import ChatMessage, DocumentBlock, TextBlock
from llama_index.llms.openai import OpenAI

url, path, model = sys.argv[1:]
message = ChatMessage(blocks=[DocumentBlock(path=path, title=path), TextBlock(text="What does the file say?")])
print(OpenAI(model=model, api_base=url, api_key="k", max_tokens=24, max_retries=0).chat([message]).message.content)
