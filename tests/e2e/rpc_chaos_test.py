#!/usr/bin/env python3
"""Each method that changes something, when the network loses its request or its reply, or delivers it late.

Whatever becomes of the first call: once the client has asked again with the same request_id the change is there
exactly once, every answer is the same, and a duplicate changes nothing any more. The methods are read from the
protos; one without a story in rpc_stories.py fails.
"""
import unittest
from concurrent.futures import ThreadPoolExecutor

from chaos_proxy import HOLD, HOLD_ANSWER, HOLD_COMMIT, LOSE_REPLY, LOSE_REQUEST, PASS, ChaosProxy, StoreProxy
from cluster import TIME_FACTOR, CallError
from postgres import Postgres
from rpc_stories import METHODS, Stories

LOST_REQUEST, LOST_REPLY, TOGETHER, LATE = FATES = (
    "the request is lost", "the reply is lost", "it arrives together with its retry", "it arrives late")
# Their stories share what takes long to prepare.
ONE_BY_ONE = {"EnvironmentService/ReleaseBrake", "NodeService/AcceptCatalog"}
WITHOUT_REQUEST_ID = {"ArtifactService/UploadBlob", "NodeService/CreateEnrollmentToken"}
PATIENCE = 30 * TIME_FACTOR


class Once(Stories):
    """What all tests here say of a story."""
    count = 0

    def prepare(self, method):
        with self.lock:
            type(self).count += 1
            tag = f"x{self.count}"
        name = method.split("/")[1]
        self.assertTrue(hasattr(self, "tell_" + name), f"{method} changes something and has no story in rpc_stories.py")
        return getattr(self, "tell_" + name)(tag)

    def call(self, story, address=None):
        return self.ask(story.method, story.request, address)

    def cut(self, proxy, story, plan):
        fate = proxy.next(plan)
        with self.assertRaises(CallError) as failed:
            self.call(story, proxy.address)
        self.assertEqual(failed.exception.code, "Unavailable", failed.exception)
        self.assertTrue(fate.acted.is_set(), f"it failed before it was cut: {failed.exception}")

    def check_same(self, story, answers):
        if story.same:  # An operation is answered as it is now.
            first, *others = [answer["name"] if "/operations/" in "/" + answer.get("name", "") else answer
                              for answer in answers]
            self.assertEqual([other for other in others if other != first], [])

    def check_once(self, story, before, answers):
        """Carried out once; another duplicate changes nothing."""
        self.check_same(story, answers)
        if story.kind:
            made = self.operations(story.target, story.kind) - before[1]
            self.assertEqual(made, {answers[0]["name"]})
        story.once(answers)
        after = self.state(story)
        self.check_same(story, [*answers, self.call(story)])
        self.assertEqual(self.state(story), after)


class Network(Once):
    def suffer(self, method, fate):
        story = self.prepare(method)
        before = self.state(story)
        with ThreadPoolExecutor() as pool, ChaosProxy(self.cluster.api_port) as proxy:
            if fate == LOST_REQUEST:
                self.cut(proxy, story, LOSE_REQUEST)
                self.assertEqual(self.state(story), before)
                answers = [self.call(story)]
            elif fate == LOST_REPLY:
                self.cut(proxy, story, LOSE_REPLY)
                answers = [self.call(story)]
            elif fate == TOGETHER:
                calls = [self.hold(proxy, pool, story) for _ in range(2)]
                self.assertEqual(self.state(story), before)
                for held, _ in calls:
                    held.released.set()
                answers = [call.result() for _, call in calls]
            else:
                held, call = self.hold(proxy, pool, story)
                answers = [self.call(story)]
                self.check_once(story, before, answers)
                story.later()
                before = self.state(story)
                held.released.set()
                self.check_same(story, [*answers, call.result()])
                self.assertEqual(self.state(story), before)
                return
            self.check_once(story, before, answers)

    def hold(self, proxy, pool, story):
        """A call that waits in the network."""
        held = proxy.next(HOLD)
        call = pool.submit(self.call, story, proxy.address)
        self.assertTrue(held.held.wait(PATIENCE), "the request did not come")
        return held, call

    def test_every_method_that_changes_something_has_a_story_and_but_two_a_request_id(self):
        self.assertGreater(len(METHODS), 20)
        told = {name.removeprefix("tell_") for name in dir(self) if name.startswith("tell_")}
        self.assertEqual(told, {method.split("/")[1] for method in METHODS})
        self.assertEqual({method for method, has_id in METHODS.items() if not has_id}, WITHOUT_REQUEST_ID)

    def test_an_entry_that_is_killed_after_its_replies_were_lost_gives_them_when_it_is_back(self):
        methods = ("AppService/CreateApp", "AppService/DeleteApp", "AppService/ScaleApp", "NodeService/DrainNode",
                   "EnvironmentService/UpdateEnvironment", "ProjectService/DeleteProject")
        stories = [self.prepare(method) for method in methods]
        before = [self.state(story) for story in stories]
        with ChaosProxy(self.cluster.api_port) as proxy:
            for story in stories:
                self.cut(proxy, story, LOSE_REPLY)
        self.cluster.restart_entry()
        for story, state in zip(stories, before):
            with self.subTest(story.method):
                self.check_once(story, state, [self.call(story), self.call(story)])


def make_test(method):
    def test(self):
        with ThreadPoolExecutor(1 if method in ONE_BY_ONE else len(FATES)) as pool:
            outcomes = [(fate, pool.submit(self.suffer, method, fate)) for fate in FATES]
        for fate, outcome in outcomes:
            with self.subTest(fate):
                outcome.result()
    test.__doc__ = f"{method}: once, whatever becomes of the first call"
    return test


for _method in METHODS:
    setattr(Network, "test_" + _method.replace("/", "_"), make_test(_method))


class KilledAtCommit(Once):
    """The entry is killed just before its commit, and when the commit is durable but nobody knows."""
    nodes = ()
    methods = ("AppService/UpdateApp", "ProjectService/CreateProject", "EnvironmentService/DeleteEnvironment",
               "NodeService/DrainNode")

    @classmethod
    def setUpClass(cls):
        server = Postgres()
        cls.addClassCleanup(server.close)
        cls.store = cls.enterClassContext(StoreProxy(server.dir / ".s.PGSQL.5432"))
        url = server.url.replace(str(server.dir), cls.store.folder.name)
        cls.cluster_options = {"store": f"{{kind: postgres, url: '{url}'}}"}
        super().setUpClass()

    def killed(self, method, plan):
        story = self.prepare(method)
        before = self.state(story)
        with ThreadPoolExecutor() as pool:
            fate = self.store.next(plan)
            try:
                call = pool.submit(self.call, story)
                self.assertTrue(fate.held.wait(PATIENCE), "there was no commit")
                self.cluster.entry.kill()
            finally:
                self.store.next(PASS)
            with self.assertRaises(CallError) as failed:
                call.result()
        self.assertEqual(failed.exception.code, "Unavailable", failed.exception)
        self.cluster.entry.start()
        self.cluster.wait_entry()
        if plan == HOLD_COMMIT:
            self.assertEqual(self.state(story), before)
        else:
            self.assertNotEqual(self.state(story), before)
        self.check_once(story, before, [self.call(story), self.call(story)])

    def test_before_it_nothing_has_happened(self):
        for method in self.methods:
            with self.subTest(method):
                self.killed(method, HOLD_COMMIT)

    def test_between_it_and_the_reply_the_retry_is_answered_by_what_was_done(self):
        for method in self.methods:
            with self.subTest(method):
                self.killed(method, HOLD_ANSWER)


if __name__ == "__main__":
    unittest.main(verbosity=2)
