"""The data file: the results with their dates, commits and machine."""

import datetime
import json

import machine
import report


class Results:
    def __init__(self, file):
        self.file = file
        self.data = json.loads(file.read_text()) if file.exists() else {"machine": {}, "results": {}}
        # Read before the build, so that it names the measured commit even if files change meanwhile.
        self.commit = machine.commit()

    def measured_on(self, this_machine):
        """Drops the results of another machine, because they are not comparable."""
        if self.data["machine"] != this_machine:
            if self.data["results"]:
                report.step(f"{self.file} is of another machine or other versions: beginning anew")
            self.data = {"machine": this_machine, "results": {}}

    def put(self, name, result):
        """Replaces the result of this name and saves the file, so that a later failure loses nothing."""
        now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        self.data["results"][name] = {"date": now, "commit": self.commit, **result}
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_text(json.dumps(self.data, indent=1, sort_keys=True) + "\n")
