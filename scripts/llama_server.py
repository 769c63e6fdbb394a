"""llama.cpp as the wheel of xllamacpp has it: `llama_server.py MODEL [ADDRESS PORT]`.

Prints its URL and serves until standard input ends.
"""

import sys

import xllamacpp

#: How Gemma is spoken to (its model card, "Formatting"); the file of the model does not say.
TEMPLATE = """{% for message in messages %}<start_of_turn>{{ 'model' if message.role == 'assistant' else 'user' }}
{% if message.content is string %}{{ message.content }}
{% elif message.content %}{% for part in message.content %}{{ part.text }}
{% endfor %}{% endif %}<end_of_turn>
{% endfor %}<start_of_turn>model
"""

params = xllamacpp.CommonParams()
params.model.path = sys.argv[1]
params.chat_template = TEMPLATE
if len(sys.argv) > 2:
    params.hostnames, params.port = [sys.argv[2]], int(sys.argv[3])
params.n_ctx = 4096
params.n_parallel = 1
params.cpuparams.n_threads = 2
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
sys.stdin.read()
