"""A feed and a subscriber that work all day, whatever happens to the service: each
connects again at once, and goes on by number where it was."""

import threading
import time

import kdb
from kdb import NIL
from late import rejoin
from service import LIMIT, client
from traffic import sizes_of, trade


class Worker(threading.Thread):
    """work() is called with a connection, which is made again and again."""

    def __init__(self, user, password):
        super().__init__(daemon=True)
        self.user, self.password = user, password
        self.connects, self.refused = 0, 0
        self.news, self.failure = threading.Condition(), None
        self.here, self.may_work, self.is_over = None, threading.Event(), False
        self.may_work.set()
        self.start()

    def run(self):
        try:
            while not self.is_over:
                self.may_work.wait()
                try:
                    with client(self.user, self.password) as self.here:
                        self.connects += 1
                        self.work(self.here)
                except ConnectionRefusedError:
                    self.refused += 1
                    time.sleep(0.02)
                except (kdb.Closed, OSError):
                    time.sleep(0.02)
        except Exception as failure:
            self.failure = failure
            with self.news:
                self.news.notify_all()

    def pause(self):
        self.may_work.clear()
        self.here.close()

    def go_on(self):
        self.may_work.set()

    def finish(self):
        self.is_over = True
        self.here.close()
        self.join(LIMIT)
        self.look()

    def look(self):
        if self.failure:
            raise self.failure


class Feed(Worker):
    """Publishes records with the numbers 0, 1, ...; what was answered is in the
    journal, and after a break it asks how many these are."""

    PAUSE = 0.005  # seconds after each: the day's journal is on a small disk

    def work(self, here):
        number = here.sync(".u.i").value
        while self.may_work.is_set() and not self.is_over:
            answer = here.update("trade", trade(number))
            assert answer == NIL, "the feed is answered %s to record %d" % (answer, number)
            number += 1
            time.sleep(self.PAUSE)


class Rdb(Worker):
    """Has all records of the day, each once."""

    def __init__(self, user, password):
        self.numbers = []
        self.claim = None  # epoch, day
        super().__init__(user, password)

    def work(self, here):
        if self.claim is None:
            reply = here.sync("(.ringtick.subfrom[`;`;0];.u.d;.ringtick.epoch)")
            assert isinstance(reply, kdb.List), reply
            epoch = reply.items[2].value
            self.claim = epoch, reply.items[1].value
        else:
            epoch = here.sync(".ringtick.epoch").value
            reply = rejoin(here, (*self.claim, 0, len(self.numbers)))
            assert isinstance(reply, kdb.List), (
                "rejoin after %d records is answered %s" % (len(self.numbers), reply))
        while True:
            number = sizes_of(here.read_frame(), 1)[0]
            with self.news:
                assert number == len(self.numbers), "record %d comes after %d" % (
                    number, len(self.numbers) - 1)
                self.numbers.append(number)
                self.claim = epoch, self.claim[1]
                self.news.notify_all()

    def wait_for(self, more):
        """Awaits so many records more than it has now."""
        with self.news:
            wanted = len(self.numbers) + more
            came = self.news.wait_for(
                lambda: self.failure or len(self.numbers) >= wanted, LIMIT)
        self.look()
        assert came, "expected record %d at the subscriber within %d s, which has %d" % (
            wanted, LIMIT, len(self.numbers))
