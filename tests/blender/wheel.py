"""Marks of tests that need what not every Blender as a module is built with."""

import bpy
import pytest

from freetalk_blender.blender import compat

NEEDS_SOUND = pytest.mark.skipif(not compat.can_make_sound(), reason="this bpy wheel is built without sound")
NEEDS_USD = pytest.mark.skipif(not compat.exists(bpy.ops.wm.usd_export), reason="this bpy wheel is built without USD")
