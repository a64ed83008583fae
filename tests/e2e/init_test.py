#!/usr/bin/env python3
"""`appsup-entry init`: CA and admin token before the first start, which keeps them, as does a second init."""
import hashlib
import ssl
import subprocess
import unittest

from cluster import Cluster


class Init(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster()  # Not started yet.
        self.addCleanup(lambda: self.cluster.__exit__(False, None, None))
        self.state = self.cluster.root / "var/lib/appsup/entry"

    def init(self):
        config = self.cluster.dir / "init.yaml"
        config.write_text(f"root_dir: {self.cluster.root}\n")
        return subprocess.run([self.cluster.bin / "appsup-entry", "init", "--config", config],
                              capture_output=True, text=True, timeout=60)

    def made(self):
        """Every file, with its mode and bytes."""
        return {str(path.relative_to(self.state)): (oct(path.stat().st_mode & 0o777), path.read_bytes())
                for path in self.state.rglob("*") if path.is_file()}

    def test_it_makes_a_ca_and_a_token_that_the_entry_then_uses(self):
        done = self.init()
        self.assertEqual(done.returncode, 0, done.stderr)
        made = self.made()
        self.assertEqual({name: mode for name, (mode, _) in made.items()},
                         {"ca/ca.key": "0o600", "ca/ca.crt": "0o644", "admin.token": "0o600"})
        for folder in (self.state, self.state / "ca"):
            self.assertEqual(oct(folder.stat().st_mode & 0o777), "0o700", folder)
        fingerprint = hashlib.sha256(ssl.PEM_cert_to_DER_cert(made["ca/ca.crt"][1].decode())).hexdigest()
        self.assertIn(f"fingerprint:           {fingerprint}\n", done.stdout)
        token = made["admin.token"][1].decode().strip()
        self.assertNotIn(token, done.stdout + done.stderr)

        self.cluster.__enter__()
        now = self.made()
        self.assertEqual({name: now[name] for name in made}, made)
        keys = {name: mode for name, (mode, _) in now.items() if name.endswith(".key")}
        self.assertEqual(set(keys.values()), {"0o600"}, keys)
        self.assertTrue((self.state / "tls/server.key").exists())
        line = self.cluster.appsup("nodes", "token", "local").stdout.strip().splitlines()[-1]
        kind, _, print_of_ca, address = line.split("--token ")[1].split()[0].split(".", 3)
        self.assertEqual((kind, print_of_ca), ("aj1", fingerprint))
        self.assertEqual(address, f"127.0.0.1:{self.cluster.link_port}")
        self.cluster.call("ProjectService/ListProjects", {}, token=token, address=f"127.0.0.1:{self.cluster.api_port}")
        self.cluster.add_agent("n1")  # By such a line.

    def test_a_second_one_is_refused_and_changes_nothing(self):
        self.assertEqual(self.init().returncode, 0)
        made = self.made()
        again = self.init()
        self.assertEqual(again.returncode, 1)
        self.assertIn("holds a certificate authority already", again.stderr)
        self.assertEqual(self.made(), made)

    def test_half_a_ca_is_no_reason_for_another_one(self):
        self.assertEqual(self.init().returncode, 0)
        (self.state / "ca/ca.crt").unlink()
        made = self.made()
        self.assertEqual(self.init().returncode, 1)
        self.assertEqual(self.made(), made)


if __name__ == "__main__":
    unittest.main(verbosity=2)
