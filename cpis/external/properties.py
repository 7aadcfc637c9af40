"""What operators write for an external CPI: its own properties; all others are its executable's."""

from __future__ import annotations

from cpis.properties import object_schema

CPI_SCHEMA = object_schema(
    {
        "exec_path": {
            "type": "string",
            "minLength": 1,
            "description": "Path of the executable.",
        },
        "arguments": {
            "type": "array",
            "items": {"type": "string"},
            "description": "What it is started with, such as its configuration file. No secrets: "
            "everybody on the host can see them.",
        },
        "type": {
            "type": "string",
            "description": "What messages call it. Default: the executable's name.",
        },
        "director_uuid": {"type": "string", "description": "Tells the CPI which director asks."},
        "properties": {
            "type": "object",
            "description": "The CPI's own, sent with every request in its context.",
        },
        "timeout": {
            "type": "number",
            "exclusiveMinimum": 0,
            "description": "Seconds that one call may take. Default: 3600.",
        },
        "stemcell_api_version": {
            "type": "integer",
            "minimum": 1,
            "description": "The api_version in the manifest of the stemcells it is used with. "
            "Default: 2. Below 2 many CPIs want a registry, which there is none of.",
        },
    },
    required=("exec_path",),
)

TABLES = {"The CPI's own properties": CPI_SCHEMA}
"""All properties, by what they are properties of."""
