"""What the tests of tool calls share: chat templates of several families, and a model's answer fed piece by piece."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from chatapp import Tool, ToolCall
from chatapp_llama.calls import Calls
from chatapp_llama.form import Form
from chatapp_llama.template import Template

ADD = Tool(
    "math.add",
    "Add two numbers.",
    {
        "type": "dict",
        "properties": {"a": {"type": "integer"}, "b": {"type": "float"}, "note": {"type": "string"}},
        "required": ["a", "b"],
    },
)
WEATHER = Tool("weather", "The weather at a place.", {"type": "object", "properties": {"place": {"type": "string"}}})
CONTROLS = ["<|im_start|>", "<|im_end|>", "</s>", "<|eot_id|>", "<|python_tag|>", "[TOOL_CALLS]", "[INST]", "[/INST]"]

# The parts about tools as the model families write them, without what else their templates do.
QWEN = """{%- if tools %}<|im_start|>system
{% if messages[0].role == 'system' %}{{ messages[0].content }}{% endif %}

# Tools
<tools>{% for tool in tools %}
{{ tool | tojson }}{% endfor %}
</tools><|im_end|>
{% elif messages[0].role == 'system' %}<|im_start|>system
{{ messages[0].content }}<|im_end|>
{% endif %}
{%- for m in messages %}
{%- if m.role == 'user' or (m.role == 'assistant' and not m.tool_calls) %}
{{- '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}
{%- elif m.role == 'assistant' %}
{{- '<|im_start|>assistant' }}{% if m.content %}{{ '\n' + m.content }}{% endif %}
{%- for call in m.tool_calls %}
{{- '\n<tool_call>\n{"name": "' + call.function.name + '", "arguments": ' }}{{ call.function.arguments | tojson }}
{{- '}\n</tool_call>' }}{% endfor %}{{ '<|im_end|>\n' }}
{%- elif m.role == 'tool' %}
{%- if loop.index0 == 0 or messages[loop.index0 - 1].role != 'tool' %}{{ '<|im_start|>user' }}{% endif %}
{{- '\n<tool_response>\n' + m.content + '\n</tool_response>' }}
{%- if loop.last or messages[loop.index0 + 1].role != 'tool' %}{{ '<|im_end|>\n' }}{% endif %}
{%- endif %}{% endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"""
LLAMA = """{%- for m in messages %}
{%- if m.tool_calls is defined %}
{%- if m.tool_calls | length != 1 %}{{ raise_exception('One call at once!') }}{% endif %}
{{- '<|start|>assistant<|end|>\n\n' }}{{ '{"name": "' + m.tool_calls[0].function.name + '", "parameters": ' }}
{{- m.tool_calls[0].function.arguments | tojson }}{{ '}<|eot_id|>' }}
{%- elif m.role == 'tool' %}{{ '<|start|>ipython<|end|>\n\n' + (m.content | tojson) + '<|eot_id|>' }}
{%- else %}{{ '<|start|>' + m.role + '<|end|>\n\n' }}
{%- for tool in (tools or []) if m.role == 'user' and loop.first %}{{ tool | tojson }}{{ '\n' }}{% endfor %}
{{- m.content + '<|eot_id|>' }}{% endif %}{% endfor %}
{%- if add_generation_prompt %}{{ '<|start|>assistant<|end|>\n\n' }}{% endif %}"""
MISTRAL = """{%- for m in messages %}
{%- if m.role == 'user' %}
{%- if tools and loop.first %}[AVAILABLE_TOOLS] {{ tools | tojson }}[/AVAILABLE_TOOLS]{% endif %}
{{- '[INST] ' + m.content + '[/INST]' }}
{%- elif m.tool_calls is defined %}{{ '[TOOL_CALLS] [' }}
{%- for call in m.tool_calls %}
{%- if call.id | length != 9 %}{{ raise_exception('Tool call IDs should be strings with length 9!') }}{% endif %}
{{- '{"name": "' + call.function.name + '", "arguments": ' + (call.function.arguments | tojson) }}
{{- ', "id": "' + call.id + '"}' }}{% if not loop.last %}{{ ', ' }}{% endif %}{% endfor %}{{ ']</s>' }}
{%- elif m.role == 'tool' %}[TOOL_RESULTS] {{ m.content }}, "{{ m.tool_call_id }}"[/TOOL_RESULTS]
{%- else %}{{ ' ' + m.content + '</s>' }}{% endif %}{% endfor %}"""
AS_TEXT = """{%- for t in tools or [] %}{{ t.function.name }} {% endfor %}{% for m in messages %}
{%- if m.tool_calls is defined %}{% for call in m.tool_calls %}
{{- '<|im_start|>call ' + call.function.name + ': ' + call.function.arguments }}{% endfor %}<|im_end|>
{%- else %}<|im_start|>{{ m.role }} {{ m.content }}<|im_end|>{% endif %}{% endfor %}"""
PLAIN = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def template(source: str) -> Template:
    """A template with the control tokens of all of these families."""
    return Template(source, "", "<|im_end|>", CONTROLS)


def pieces(text: str) -> Iterator[str]:
    """A text as a model might write it: tags, words and signs."""
    yield from re.findall(r"</?\w+>|\[TOOL_CALLS\]|\w+|\s+|\W", text)


def answered(form: Form, *written: str, tools: Sequence[Tool] = (ADD, WEATHER)) -> tuple[str, list[ToolCall], Calls]:
    """The text and the calls in an answer: `written` is what the model writes up to each point where a call begins,
    and after `form.begin` was put there, the rest."""
    calls, shown = Calls(form, tools), ""
    found: list[ToolCall] = []
    for text in written:
        for piece in pieces(text):
            shown += calls.feed(piece)
            found += calls.ready()
            if calls.begins:
                assert calls.enter()[0].endswith(form.begin)
                break
    return shown + calls.rest(), found, calls
