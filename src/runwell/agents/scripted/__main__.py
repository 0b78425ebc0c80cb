"""`python -m runwell.agents.scripted`: serve, and say where in one JSON line on stdout."""

import argparse
import json
import sys

from runwell.agents.scripted.model import ScriptedModel


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m runwell.agents.scripted", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    model = ScriptedModel(port=chosen.port, host=chosen.host, seed=chosen.seed)
    sys.stdout.write(json.dumps({"base_url": model.base_url}) + "\n")
    sys.stdout.flush()
    model.run()


if __name__ == "__main__":
    main()
