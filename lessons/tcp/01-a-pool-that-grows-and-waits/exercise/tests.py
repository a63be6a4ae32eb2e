"""What a pool must do: never too many, never one too few, first come first served, whatever fails, closes or gives up."""

from random import Random

from lessons.trial import Subject, Trial

DIAL = ("dial",)


def serve(caller: str, connection: str) -> tuple[str, ...]:
    """The order that gives a caller a connection."""
    return ("serve", caller, connection)


def pool_with(trial: Trial, max_conns: int, *idle: str) -> Subject:
    """A pool with these connections idle, in the order of their release."""
    pool = trial.new("Pool", max_conns)
    for number in range(len(idle)):
        pool.do("ask", f"early {number}")
    for connection in idle:
        pool.do("dialed", connection)
    for connection in idle:
        pool.do("done", connection)
    return pool


def test_the_first_caller_makes_it_dial(trial: Trial) -> None:
    """And gets the connection."""
    pool = trial.new("Pool", 2)
    pool.gives("ask", "ann", expected=[DIAL], why="there is no connection, and two are allowed")
    pool.gives("dialed", "c1", expected=[serve("ann", "c1")], why="ann is the head of the line")
    pool.gives("done", "c1", expected=[], why="nobody waits for it")


def test_an_idle_connection_serves_at_once(trial: Trial) -> None:
    """Without a dial."""
    pool_with(trial, 2, "c1").gives("ask", "ann", expected=[serve("ann", "c1")], why="c1 is idle")


def test_the_one_used_last_serves(trial: Trial) -> None:
    """Rule 5."""
    why = "c2 was released last: it is the likeliest to be alive, and the others may grow old and be closed"
    pool_with(trial, 3, "c1", "c3", "c2").gives("ask", "ann", expected=[serve("ann", "c2")], why=why)


def test_it_grows_no_further_than_its_limit(trial: Trial) -> None:
    """Rule 1: dials under way take slots."""
    pool = trial.new("Pool", 2)
    pool.gives("ask", "ann", expected=[DIAL])
    pool.gives("ask", "bob", expected=[DIAL])
    pool.gives("ask", "cid", expected=[], why="two dials are under way, and two connections are allowed")
    pool.gives("dialed", "c1", expected=[serve("ann", "c1")])
    pool.gives("dialed", "c2", expected=[serve("bob", "c2")], why="and for cid there is no slot: both are open")


def test_then_they_wait_in_line(trial: Trial) -> None:
    """Rule 4: first come, first served."""
    pool = pool_with(trial, 1, "c1")
    pool.gives("ask", "ann", expected=[serve("ann", "c1")])
    pool.gives("ask", "bob", expected=[], why="the only connection serves ann, and there may be no other")
    pool.gives("ask", "cid", expected=[])
    pool.gives("done", "c1", expected=[serve("bob", "c1")], why="bob came before cid")
    pool.gives("done", "c1", expected=[serve("cid", "c1")])


def test_who_waits_for_a_dial_takes_what_comes_first(trial: Trial) -> None:
    """Rule 2: a connection that is released may come before the one that is dialed."""
    pool = pool_with(trial, 2, "c1")
    pool.do("ask", "ann")
    pool.gives("ask", "bob", expected=[DIAL], why="c1 is busy, and there is a slot")
    pool.gives("done", "c1", expected=[serve("bob", "c1")], why="bob waits, and c1 came free before the dial was over")
    pool.gives("dialed", "c2", expected=[], why="nobody waits any more: c2 is idle")
    pool.gives("ask", "cid", expected=[serve("cid", "c2")], why="c2 is idle")


def test_a_dial_outlives_its_caller(trial: Trial) -> None:
    """Rule 2: what one began serves another."""
    pool = trial.new("Pool", 2)
    pool.do("ask", "ann")
    pool.gives("leave", "ann", expected=[], why="the dial goes on, for whoever comes next")
    pool.gives("ask", "bob", expected=[], why="one stands in line, and one dial is under way (rule 3)")
    pool.gives("dialed", "c1", expected=[serve("bob", "c1")], why="bob is the head of the line")


def test_who_has_left_is_not_served(trial: Trial) -> None:
    """Wherever in the line he stood."""
    pool = pool_with(trial, 1, "c1")
    for caller in ("ann", "bob", "cid", "dee"):
        pool.do("ask", caller)
    pool.do("leave", "cid")
    pool.gives("done", "c1", expected=[serve("bob", "c1")])
    pool.gives("done", "c1", expected=[serve("dee", "c1")], why="cid has left the line")
    pool.gives("leave", "dee", expected=[], why="dee is served already: nothing to do")
    pool.gives("done", "c1", expected=[])


def test_a_closed_connection_frees_its_slot(trial: Trial) -> None:
    """Rule 3: whoever waits gets a dial."""
    pool = pool_with(trial, 1, "c1")
    pool.do("ask", "ann")
    pool.do("ask", "bob")
    pool.gives("lost", "c1", expected=[DIAL], why="bob waits, and there is a slot now: nobody else would wake him")
    pool.gives("dialed", "c2", expected=[serve("bob", "c2")])


def test_a_closed_connection_serves_nobody(trial: Trial) -> None:
    """It was idle, and the peer has closed it."""
    pool = pool_with(trial, 2, "c1", "c2")
    pool.gives("lost", "c2", expected=[], why="nobody waits")
    pool.gives("ask", "ann", expected=[serve("ann", "c1")], why="c2 is closed")
    pool.gives("ask", "bob", expected=[DIAL], why="c2 is closed, so there is a slot")


def test_a_dial_that_fails(trial: Trial) -> None:
    """The head of the line hears of it; for the next, another is started."""
    pool = trial.new("Pool", 1)
    pool.gives("ask", "ann", expected=[DIAL])
    pool.gives("ask", "bob", expected=[])
    why = "ann hears of it, and bob, who waits, gets a dial"
    pool.gives("dial_failed", expected=[("fail", "ann"), DIAL], why=why)
    pool.do("leave", "bob")
    pool.gives("dial_failed", expected=[], why="nobody waits any more")
    pool.gives("ask", "cid", expected=[DIAL], why="no dial is under way")


def test_more_are_allowed(trial: Trial) -> None:
    """Rule 3: those in line need not wait for the next event."""
    pool = pool_with(trial, 1, "c1")
    for caller in ("ann", "bob", "cid", "dee"):
        pool.do("ask", caller)
    pool.gives("allow", 3, expected=[DIAL, DIAL], why="bob, cid and dee wait, and there are two slots more")
    pool.gives("dialed", "c2", expected=[serve("bob", "c2")])


def test_a_day_in_its_life(trial: Trial, random: Random) -> None:
    """All rules, whatever happens, in whatever order."""
    limit = random.randint(1, 4)
    watch = Watch(trial.new("Pool", limit), limit)
    for _ in range(300):
        possible = (
            [watch.ask] * 3 + [watch.dialed] * 2 * bool(watch.dialing) + [watch.dial_failed] * bool(watch.dialing)
        )
        possible += [watch.done] * 3 * bool(watch.busy) + [watch.lost] * bool(watch.busy or watch.idle)
        possible += [watch.leave] * bool(watch.line)
        random.choice(possible)(random)


class Watch:
    """Lets things happen to a pool, carries out its orders, and sees that they were right."""

    def __init__(self, pool: Subject, limit: int) -> None:
        self.pool, self.limit = pool, limit
        self.busy: list[str] = []
        self.idle: list[str] = []
        self.line: list[str] = []
        self.dialing = self.callers = self.connections = 0

    def ask(self, _: Random) -> None:
        """One more caller."""
        self.callers += 1
        self.line.append(f"caller{self.callers}")
        self.follow("ask", self.line[-1])

    def dialed(self, _: Random) -> None:
        """A dial ends well."""
        self.dialing -= 1
        self.connections += 1
        self.idle.append(f"c{self.connections}")
        self.follow("dialed", self.idle[-1])

    def dial_failed(self, _: Random) -> None:
        """A dial ends badly."""
        self.dialing -= 1
        failed = [("fail", self.line.pop(0))] if self.line else []
        self.follow("dial_failed", first=failed)

    def done(self, random: Random) -> None:
        """A connection comes free."""
        connection = self.busy.pop(random.randrange(len(self.busy)))
        self.idle.append(connection)
        self.follow("done", connection)

    def lost(self, random: Random) -> None:
        """A connection is closed."""
        connection = random.choice([*self.busy, *self.idle])
        (self.busy if connection in self.busy else self.idle).remove(connection)
        self.follow("lost", connection)

    def leave(self, random: Random) -> None:
        """A caller gives up."""
        self.follow("leave", self.line.pop(random.randrange(len(self.line))))

    def follow(self, name: str, *arguments: str, first: list[tuple[str, ...]] | None = None) -> None:
        """Let it happen, and hold the orders against the rules."""
        expected = list(first or [])
        if self.line and self.idle:
            expected.append(serve(self.line.pop(0), self.idle[-1]))
            self.busy.append(self.idle.pop())
        slots = self.limit - len(self.busy) - len(self.idle) - self.dialing
        dials = max(min(len(self.line) - self.dialing, slots), 0)
        self.dialing += dials
        expected += [DIAL] * dials
        told = (
            f"{self.limit} are allowed; now {self.dialing} dials are under way, {len(self.busy)} connections busy, "
            f"{len(self.idle)} idle, {len(self.line)} callers in line"
        )
        got = self.pool.do(name, *arguments)
        self.pool.judge(got == expected, got, expected, told)
