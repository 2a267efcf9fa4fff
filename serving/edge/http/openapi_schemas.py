"""The schemas of the OpenAPI document: what is sent to the port of predictions, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from serving.inference import ELEMENT_SIZE

Schema = Mapping[str, Any]

_TEXT: Schema = {"type": "string"}
_FLAG: Schema = {"type": "boolean"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_OPEN: Schema = {"type": "object"}
_TRUE: Schema = {"type": "boolean", "const": True}
_DATATYPE: Schema = {"type": "string", "enum": list(ELEMENT_SIZE)}


def _object(
    required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None, *, more: bool = True
) -> Schema:
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        **({} if more else {"additionalProperties": False}),
    }


def _list(of: Schema, **more: Any) -> Schema:  # noqa: ANN401 - whatever JSON can say
    return {"type": "array", "items": of, **more}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_SHAPE = _list({"type": "integer", "minimum": -1})
_SPENT = _object({"count": _COUNT, "ns": _COUNT})
_STAGES = ("compute_input", "compute_infer", "compute_output")
_ALL_STAGES = ("success", "fail", "queue", *_STAGES, "cache_hit", "cache_miss")

SCHEMAS: Mapping[str, Schema] = {
    "Error": _object({"error": _TEXT}),
    "Anything": _OPEN,
    "Nothing": _object({}, more=False),
    "Alive": _object({"status": {"const": "alive"}}),
    "Live": _object({"live": _TRUE}),
    "Ready": _object({"ready": _TRUE, "live": _TRUE}),
    "ServerMetadata": _object({"name": _TEXT, "version": _TEXT, "extensions": _list(_TEXT)}),
    "ModelNames": _object({"models": _list(_TEXT)}),
    "TensorSpec": _object({"name": _TEXT, "datatype": _DATATYPE, "shape": _SHAPE}),
    "ModelMetadata": _object(
        {
            "name": _TEXT,
            "versions": _list(_TEXT),
            "platform": _TEXT,
            "inputs": _list(_ref("TensorSpec")),
            "outputs": _list(_ref("TensorSpec")),
        }
    ),
    "ModelReady": _object({"name": _TEXT, "ready": _TRUE}),
    "ModelConfig": _object(
        {
            "name": _TEXT,
            "platform": _TEXT,
            "max_batch_size": _COUNT,
            "input": _list(_object({"name": _TEXT, "data_type": _TEXT, "dims": _SHAPE})),
            "output": _list(_object({"name": _TEXT, "data_type": _TEXT, "dims": _SHAPE})),
            "version_policy": _OPEN,
            "instance_group": _list(_OPEN),
        },
        {"dynamic_batching": _OPEN},
    ),
    "Statistics": _object(
        {
            "model_stats": _list(
                _object(
                    {
                        "name": _TEXT,
                        "version": _TEXT,
                        "last_inference": _COUNT,
                        "inference_count": _COUNT,
                        "execution_count": _COUNT,
                        "inference_stats": _object(dict.fromkeys(_ALL_STAGES, _SPENT)),
                        "batch_stats": _list(_object({"batch_size": _COUNT, **dict.fromkeys(_STAGES, _SPENT)})),
                    }
                )
            )
        }
    ),
    "InferInput": _object(
        {"name": _TEXT, "shape": _list(_COUNT, maxItems=32), "datatype": _DATATYPE},
        {"data": _list({}), "parameters": _OPEN},
        more=False,
    ),
    "InferRequest": _object(
        {"inputs": _list(_ref("InferInput"), minItems=1)},
        {"id": _TEXT, "parameters": _OPEN, "outputs": _list(_object({"name": _TEXT}, {"parameters": _OPEN}))},
    ),
    "InferResponse": _object(
        {
            "model_name": _TEXT,
            "outputs": _list(
                _object({"name": _TEXT, "shape": _list(_COUNT), "datatype": _DATATYPE}, {"data": _list({})})
            ),
        },
        {"model_version": _TEXT, "id": _TEXT, "parameters": _OPEN},
    ),
    "RepositoryIndexRequest": _object({}, {"ready": _FLAG}),
    "RepositoryIndex": _list(
        _object(
            {
                "name": _TEXT,
                "version": _TEXT,
                "state": {"enum": ["READY", "LOADING", "UNAVAILABLE"]},
                "reason": _TEXT,
            }
        )
    ),
    "LoadRequest": _object({}, {"parameters": {"type": "object", "additionalProperties": _TEXT}}),
    "UnloadRequest": _object({}, {"parameters": _object({}, {"unload_dependents": _FLAG}, more=False)}),
    "LogSettings": _object(
        {},
        {
            "log_file": _TEXT,
            "log_info": _FLAG,
            "log_warning": _FLAG,
            "log_error": _FLAG,
            "log_verbose_level": _COUNT,
            "log_format": _TEXT,
        },
        more=False,
    ),
    "V1Model": _object({"name": _TEXT, "ready": _FLAG, "version": _TEXT, "versions": _list(_TEXT), "curl": _TEXT}),
    "PredictRequest": _object(
        {"instances": _list({}, minItems=1)},
        {
            "signature_name": _TEXT,
            "id": _TEXT,
            "parameters": _object({}, {"feature_status": _FLAG, "return_features": _FLAG}),
        },
    ),
    "PredictResponse": _object(
        {"predictions": _list({})},
        {
            "feature_status": _list({"type": "object", "additionalProperties": _ref("FeatureStatus")}),
            "features": _list(_OPEN),
        },
    ),
    "FeatureStatus": _object(
        {
            "status": {"type": "string", "enum": ["PRESENT", "NULL", "NOT_FOUND", "STALE", "DEFAULT"]},
            "age_s": {"type": ["number", "null"]},
        },
        {
            "filled_by": {"type": "string", "enum": ["default", "impute"]},
            "why": {"type": "string", "enum": ["unreadable", "unavailable"]},
        },
    ),
}
