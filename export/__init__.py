"""How the networks were made: data, training, export. Not part of the product."""

import freetalk_blender  # noqa: F401 -- switches onnxruntime's telemetry off before a module here imports that
