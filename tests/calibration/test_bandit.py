"""A threshold found on a stream: which arm, what it earns, and that a stream may go on later."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from tokenexit.calibration.bandit import BanditState, OnlineThreshold, adapt
from tokenexit.errors import UserError
from tokenexit.halting import Trace
from tokenexit.halting.trace import LayerWork
from tokenexit.methods import settings_of
from tokenexit.policies import from_config
from tokenexit.policies.assigned_depth import AssignedDepth
from tokenexit.policies.max_prob import MaxProb
from tokenexit.policies.never import Never

ARMS = (0.5, 0.6, 0.7, 0.8, 0.9)
MEANS = np.array([0.55, 0.6, 0.75, 0.65, 0.5])
"""What each arm earns on the simulated stream; the third is best."""


def play(bandit: OnlineThreshold, pulls: int, seed: int) -> tuple[np.ndarray, BanditState]:
    """Arms that were chosen, one text at a time, with rewards between 0 and 1."""
    rng, state, chosen = np.random.default_rng(seed), bandit.start(), []
    for _ in range(pulls):
        arm = bandit.arm(state)
        state = bandit.observe(state, arm, float(rng.random() < MEANS[arm]))
        chosen.append(arm)
    return np.array(chosen), state


@pytest.fixture(scope="module")
def bandit() -> OnlineThreshold:
    return OnlineThreshold(MaxProb(), ARMS)


class TestStream:
    def test_the_best_of_known_arms_is_found(self, bandit):
        for seed in range(5):
            chosen, state = play(bandit, 6000, seed)
            assert (chosen[-1000:] == 2).mean() > 0.6
            assert bandit.best(state) == MaxProb(0.7)
            assert sum(state.pulls) == 6000

    def test_regret_grows_ever_more_slowly(self, bandit):
        """Below the bound of Auer et al., and far below that of any fixed share of wrong arms."""
        gaps = MEANS.max() - MEANS
        regret = np.mean([gaps[play(bandit, 8000, seed)[0]].cumsum() for seed in range(8)], axis=0)
        for time in (500, 2000, 8000):
            bound = sum(8 * math.log(time) / g for g in gaps if g) + (1 + math.pi**2 / 3) * sum(
                gaps
            )
            assert regret[time - 1] <= bound
        assert regret[7999] / 8000 < 0.5 * regret[999] / 1000
        assert regret[7999] < 0.4 * 8000 * gaps.mean()  # that of choosing blindly
        # Each doubling of the stream adds less for each text.
        late, later = regret[3999] - regret[1999], regret[7999] - regret[3999]
        assert later / 4000 < late / 2000

    def test_a_seed_decides_everything(self, bandit):
        first, second = play(bandit, 400, 3), play(bandit, 400, 3)
        assert np.array_equal(first[0], second[0])
        assert first[1] == second[1]
        assert not np.array_equal(first[0], play(bandit, 400, 4)[0])

    def test_it_may_stop_and_go_on(self, bandit):
        rng = np.random.default_rng(0)
        rewards = rng.random(600)

        def go(state, part):
            for reward in part:
                state = bandit.observe(state, bandit.arm(state), reward)
            return state

        saved = json.loads(json.dumps(go(bandit.start(), rewards[:251]).to_json()))
        resumed = go(BanditState.from_json(saved), rewards[251:])
        assert resumed == go(bandit.start(), rewards)


class TestChoice:
    def test_every_arm_is_tried_first_and_then_the_bound_decides(self):
        bandit = OnlineThreshold(MaxProb(), (0.6, 0.9), exploration=1.0)
        state = bandit.start()
        assert bandit.choose(state) == MaxProb(0.6)
        state = bandit.observe(state, 0, 0.5)
        assert bandit.choose(state) == MaxProb(0.9)
        state = bandit.observe(bandit.observe(state, 1, 0.6), 1, 0.6)
        # By hand: 0.5 + sqrt(ln 3 / 1) against 0.6 + sqrt(ln 3 / 2).
        assert bandit.arm(state) == 0
        assert state.means == (0.5, 0.6)
        assert bandit.best(state) == MaxProb(0.9)
        greedy = OnlineThreshold(MaxProb(), (0.6, 0.9), exploration=0.0)
        assert greedy.arm(state) == 1

    def test_states_are_values(self, bandit):
        state = bandit.start()
        bandit.observe(state, 1, 1.0)
        assert state == BanditState((0,) * 5, (0.0,) * 5)

    def test_rewards_by_hand(self):
        """Confidence less cost times the share of depth, averaged over the words of a text."""
        trace = Trace(
            text=np.array([0, 0, 2]),
            position=np.array([0, 1, 0]),
            exit_layer=np.array([1, 4, 2]),
            prediction=np.array([0, 1, 0]),
            confidence=np.array([0.5, 1.0, 0.75], dtype=np.float32),
            gold=np.full(3, -100),
            log_probs=np.zeros((3, 2), dtype=np.float32),
            lengths=np.array([2, 1]),
            work=(LayerWork(),),
            num_layers=4,
        )
        found = OnlineThreshold(MaxProb(), (0.6, 0.9), cost=0.4).rewards(trace)
        assert found == pytest.approx([((0.5 - 0.1) + (1.0 - 0.4)) / 2, 0.75 - 0.2])

    @pytest.mark.parametrize(
        ("given", "told"),
        [
            ({"policy": Never()}, "no threshold"),
            ({"arms": (0.5,)}, "two or more"),
            ({"arms": (0.5, 0.5)}, "two or more different"),
            ({"arms": (0.5, 1.5)}, "from 0 to 1"),
            ({"cost": -0.1}, "cost must be 0 or more"),
            ({"cost": math.nan}, "cost must be 0 or more"),
            ({"exploration": math.inf}, "exploration must be 0 or more"),
        ],
        ids=str,
    )
    def test_what_makes_no_sense(self, given, told):
        with pytest.raises(UserError, match=told):
            OnlineThreshold(**{"policy": MaxProb(), "arms": (0.5, 0.9)} | given)

    def test_nothing_is_best_before_anything_was_served(self, bandit):
        with pytest.raises(UserError, match="Nothing has been served"):
            bandit.best(bandit.start())


class TestServing:
    @pytest.fixture(scope="class")
    def stream(self, splits):
        return splits["train"].tokens[:64]

    def test_each_batch_gets_what_its_arm_gives(self, tagger, stream, bandit):
        trace, history = adapt(tagger, stream, bandit, batch_size=8)
        assert [step.texts for step in history.steps] == [8] * 8
        assert [step.arm for step in history.steps[:5]] == [0, 1, 2, 3, 4]
        for number, step in enumerate(history.steps):
            part = slice(8 * number, 8 * number + 8)
            policy = MaxProb(step.setting)
            wanted = tagger.tag(stream[part], policy=policy)
            mine = (trace.text >= part.start) & (trace.text < part.stop)
            assert np.array_equal(trace.exit_layer[mine], wanted.exit_layer)
            assert np.array_equal(trace.prediction[mine], wanted.prediction)
            assert step.reward == pytest.approx(bandit.rewards(wanted).mean())
            assert step.mean_exit_layer == wanted.mean_exit_layer
        assert sum(history.state.pulls) == len(stream)
        assert json.loads(json.dumps(history.to_json(), allow_nan=False)) == history.to_json()

    def test_a_stream_may_go_on_another_day(self, tagger, stream, bandit):
        trace, history = adapt(tagger, stream, bandit, batch_size=4)
        _, before = adapt(tagger, stream[:40], bandit, batch_size=4)
        saved = json.loads(json.dumps(before.to_json()))
        after_trace, after = adapt(
            tagger, stream[40:], bandit, batch_size=4, state=BanditState.from_json(saved["state"])
        )
        assert after.state == history.state
        assert before.steps + after.steps == history.steps
        assert np.array_equal(after_trace.exit_layer, trace.exit_layer[trace.text >= 40])

    @pytest.mark.parametrize("cost", [0.0, 5.0])
    def test_dear_depth_is_not_bought_and_free_depth_is(self, cost, tagger, splits):
        """Arms that are exits, as in UEE-UCB; what each would have earned on its own is known."""
        stream = splits["train"].tokens * 2
        bandit = OnlineThreshold(AssignedDepth(), (1, 2, 3), cost=cost, exploration=0.1)
        _, history = adapt(tagger, stream, bandit, batch_size=4)
        alone = [
            bandit.rewards(tagger.tag(stream, policy=AssignedDepth(depth))).mean()
            for depth in (1, 2, 3)
        ]
        depth = bandit.best(history.state).depth
        assert alone[depth - 1] >= max(alone) - 0.01
        assert (depth == 1) == (cost > 0)
        assert max(history.state.pulls) == history.state.pulls[depth - 1]
        assert tagger.policy != bandit.best(history.state)

    def test_texts_without_words_earn_nothing(self, tagger, bandit):
        trace, history = adapt(tagger, [["a"], [], ["b", "c"], []], bandit, batch_size=2)
        assert trace.text.tolist() == [0, 2, 2]
        assert sum(history.state.pulls) == 2
        _, silent = adapt(tagger, [[], []], bandit, batch_size=1)
        assert silent.state == bandit.start()

    def test_what_cannot_be_served(self, tagger, stream, bandit):
        with pytest.raises(UserError, match="no texts"):
            adapt(tagger, [], bandit)
        with pytest.raises(UserError, match="batch_size must be"):
            adapt(tagger, stream, bandit, batch_size=0)
        with pytest.raises(UserError, match="knows 2 arms and the bandit has 5"):
            adapt(tagger, stream, bandit, state=BanditState((1, 1), (0.5, 0.5)))


@pytest.mark.parametrize("unit", ["text", "word"])
def test_the_preset_gives_a_family_with_arms(unit):
    settings = settings_of("uee", unit)
    [family] = settings["calibrate"]["policies"]
    assert OnlineThreshold(from_config(family), ARMS).policy == MaxProb()
    assert settings["train"]["gradient_equilibrium"]
