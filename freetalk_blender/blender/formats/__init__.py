"""Files of other programs: scans read with their clips, talking faces written as glTF, FBX and USD."""
