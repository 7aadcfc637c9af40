"""``python tests/clouds/aws PORT``: the test cloud on 127.0.0.1 until it is ended."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

if __name__ == "__main__":
    from clouds.aws.server import serve

    serve(int(sys.argv[1]))
