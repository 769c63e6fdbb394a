"""LangChain: python ask_langchain.py URL FILE MODEL prints what the model says of a file."""

import base64
import mimetypes
import sys
from pathlib import Path

from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI

url, path, name = sys.argv[1:]
data = base64.b64encode(Path(path).read_bytes()).decode()
file = {"type": "file", "base64": data, "mime_type": mimetypes.guess_type(path)[0], "filename": path}
message = HumanMessage([file, {"type": "text", "text": "What does the file say?"}])
print(ChatOpenAI(model=name, base_url=url, api_key="k", max_completion_tokens=24, max_retries=0).invoke([message]).text)
