"""The data file: what was measured, when, of which commit, and on which machine."""

import datetime
import json

import machine
import report


class Results:
    def __init__(self, file):
        self.file = file
        self.data = json.loads(file.read_text()) if file.exists() else {"machine": {}, "results": {}}
        # Read before the build, so that it is the commit of what is measured, whatever is edited meanwhile.
        self.commit = machine.commit()

    def measured_on(self, this_machine):
        """Numbers of two machines are not to be compared: another machine's are dropped."""
        if self.data["machine"] != this_machine:
            if self.data["results"]:
                report.step(f"{self.file} is of another machine or other versions: beginning anew")
            self.data = {"machine": this_machine, "results": {}}

    def put(self, name, result):
        """Takes the place of what was measured under this name before, and is kept whatever comes next."""
        now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        self.data["results"][name] = {"date": now, "commit": self.commit, **result}
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_text(json.dumps(self.data, indent=1, sort_keys=True) + "\n")
