"""Captioned scenes: what is kept from training, captions that say what is there, and what is rendered."""

import re

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from course_utils.data import load, scenes
from course_utils.data.scenes import (
    DIGITS,
    GROUNDS,
    INKS,
    LAYOUTS,
    NEW_INK,
    ONE,
    SIDE_BY_SIDE,
    SIZE,
    STACKED,
    Scenes,
    draw_scenes,
    edges,
    held_out,
    palette,
    render,
    training_scenes,
    unseen_pairs,
)

SAID = re.compile(
    r"an? (?P<ink>\w+) (?P<digit>\w+)"
    r"(?: (?P<place>left of|right of|above|below) an? (?P<other_ink>\w+) (?P<other_digit>\w+))?"
    r"(?: on a (?P<ground>\w+) background)?"
)
PLACES = {None: ONE, "left of": SIDE_BY_SIDE, "right of": SIDE_BY_SIDE, "above": STACKED, "below": STACKED}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def row(digits, inks, ground=3, layout=ONE):
    """One scene."""
    return Scenes(*(torch.tensor([value]) for value in (digits, inks, ground, layout)))


def rows(many):
    """What each scene shows, as a tuple."""
    parts = many.digits, many.inks, many.grounds, many.layouts
    return [
        (tuple(d), tuple(i), g, place) for d, i, g, place in zip(*(x.tolist() for x in parts), strict=True)
    ]


def every_lone_digit():
    """All 90 pairs of digit and ink, digit by digit, on grey."""
    pairs = torch.cartesian_prod(torch.arange(10), torch.arange(len(INKS)))
    nothing = torch.full((len(pairs), 1), -1)
    return Scenes(
        torch.cat([pairs[:, :1], nothing], dim=1),
        torch.cat([pairs[:, 1:], nothing], dim=1),
        torch.full((len(pairs),), GROUNDS.index("grey")),
        torch.full((len(pairs),), ONE),
    )


def heard(caption):
    """The scene that a caption tells of; -1 where the ground is not said."""
    said = SAID.fullmatch(caption)
    assert said, caption
    named = [(DIGITS.index(said["digit"]), INKS.index(said["ink"]))]
    if said["place"]:
        named.append((DIGITS.index(said["other_digit"]), INKS.index(said["other_ink"])))
    else:
        named.append((-1, -1))
    if said["place"] in ("right of", "below"):
        named.reverse()
    digits, inks = zip(*named, strict=True)
    return digits, inks, GROUNDS.index(said["ground"]) if said["ground"] else -1, PLACES[said["place"]]


@pytest.fixture(scope="module")
def many():
    return draw_scenes(20_000, generator=seeded(), inks=range(len(INKS)))


@pytest.fixture(scope="module")
def digits():
    return load("mnist", "test")


# --- what is drawn ---


def test_all_choices_are_drawn_about_equally_often(many):
    two = many.layouts != ONE
    assert two.double().mean() == pytest.approx(scenes.SHARE_OF_TWO, abs=0.015)
    assert (many.layouts[two] == STACKED).double().mean() == pytest.approx(0.5, abs=0.02)
    for found, choices in ((many.digits, DIGITS), (many.inks, INKS)):
        first, second = found[:, 0], found[two, 1]
        for place in (first, second):
            shares = place.bincount(minlength=len(choices)) / len(place)
            assert torch.allclose(shares, torch.full((len(choices),), 1 / len(choices)), rtol=0, atol=0.015)
    assert many.grounds.unique().tolist() == list(range(len(GROUNDS)))


def test_an_ink_never_equals_its_ground(many):
    for _, inks, ground, _ in rows(many):
        assert GROUNDS[ground] not in [INKS[ink] for ink in inks if ink >= 0]


def test_a_lone_digit_has_no_second_and_two_digits_have(many):
    lone = many.layouts == ONE
    assert torch.equal(many.digits[:, 1] == -1, lone) and torch.equal(many.inks[:, 1] == -1, lone)
    assert many.digits[:, 0].min() == many.inks[:, 0].min() == 0


@pytest.mark.parametrize("layout", range(len(LAYOUTS)))
def test_layout_and_inks_can_be_chosen(layout):
    drawn = draw_scenes(300, generator=seeded(), inks=[2, NEW_INK], layout=layout)
    assert drawn.layouts.unique().tolist() == [layout]
    assert set(drawn.inks.unique().tolist()) - {-1} == {2, NEW_INK}
    assert len(drawn) == 300


def test_the_generator_decides_all():
    once, again, other = (rows(training_scenes(50, generator=seeded(seed))) for seed in (1, 1, 2))
    assert once == again != other


def test_scenes_are_chosen_and_joined_like_tensors(many):
    assert rows(many[10:12]) == rows(many)[10:12]
    mask = many.layouts == STACKED
    assert rows(many[mask]) == [one for one in rows(many) if one[3] == STACKED]
    assert rows(Scenes.joined([many[:3], many[:0], many[7:9]])) == rows(many)[:3] + rows(many)[7:9]


# --- what is kept from training ---


def test_each_digit_has_one_unseen_ink_and_it_is_never_the_new_one():
    kept = unseen_pairs(every_lone_digit()).view(10, len(INKS))
    assert kept.sum(dim=1).tolist() == [1] * 10
    assert not kept[:, NEW_INK].any()
    assert kept[:, :NEW_INK].any(dim=0).all()  # each ink is seen less often, none far less than the others


def test_a_pair_is_unseen_in_either_place(many):
    kept = unseen_pairs(every_lone_digit()).view(10, len(INKS))
    found = unseen_pairs(many)
    for (a, b), (ink_a, ink_b), unseen in zip(
        many.digits.tolist(), many.inks.tolist(), found.tolist(), strict=True
    ):
        assert unseen == bool(kept[a, ink_a] or (b >= 0 and kept[b, ink_b]))


def test_one_scene_in_eight_is_held_out_of_each_layout_and_ground(many):
    seen = many[~unseen_pairs(many)]
    chosen = held_out(seen)
    assert not (held_out(many) & unseen_pairs(many)).any()
    for group in (*(seen.layouts == k for k in range(3)), *(seen.grounds == k for k in range(4))):
        assert chosen[group].double().mean() == pytest.approx(1 / 8, abs=0.04)


def test_what_is_held_out_is_so_however_it_is_drawn(many):
    """The scene decides: another drawing of it, anywhere, is held out as well."""
    by_scene = {}
    for scene, held in zip(rows(many), held_out(many).tolist(), strict=True):
        assert by_scene.setdefault(scene, held) == held


def test_no_training_scene_is_kept_apart():
    drawn = training_scenes(20_000, generator=seeded(3))
    assert len(drawn) == 20_000
    assert not unseen_pairs(drawn).any() and not held_out(drawn).any()
    assert drawn.inks.max() == NEW_INK - 1
    pairs = {(d, i) for ds, inks, *_ in rows(drawn) for d, i in zip(ds, inks, strict=True) if d >= 0}
    assert len(pairs) == 10 * (NEW_INK - 1)  # all but one of each digit


@pytest.mark.parametrize(("seen", "unseen"), [(400, 200), (1, 1), (0, 3), (2, 0)])
@pytest.mark.parametrize("seed", [0, 4])
def test_there_are_as_many_test_scenes_as_asked_for_each_of_its_kind(seen, unseen, seed):
    asked = scenes.test_scenes(seen, unseen, generator=seeded(seed))
    first, last = asked[:seen], asked[seen:]
    assert (len(first), len(last)) == (seen, unseen)
    assert held_out(first).all() and not unseen_pairs(first).any()
    assert unseen_pairs(last).all() and not held_out(last).any()
    assert (asked.inks < NEW_INK).all()


def test_no_test_scene_is_ever_trained():
    asked = set(rows(scenes.test_scenes(400, 200, generator=seeded(4))))
    assert not asked & set(rows(training_scenes(20_000, generator=seeded(5))))
    assert len(asked) > 400  # few of them are asked for twice


# --- captions ---


@pytest.mark.parametrize("seed", [None, 0, 1])
def test_captions_say_what_the_scenes_are(many, seed):
    captions = many.captions(generator=None if seed is None else seeded(seed), ground_said=1.0)
    assert [heard(text) for text in captions] == rows(many)


def test_unless_told_otherwise_the_first_comes_first_and_the_ground_is_said(many):
    for text in many.captions(generator=None):
        assert " right of " not in text and " below " not in text and text.endswith(" background")


def test_half_of_the_texts_begin_with_the_other_digit_and_some_leave_the_ground_out(many):
    captions = many.captions(generator=seeded())
    for (digits, inks, ground, layout), text in zip(rows(many), captions, strict=True):
        said = heard(text)
        assert (said[0], said[1], said[3]) == (digits, inks, layout) and said[2] in (ground, -1)
    side_by_side = [
        text for text, at in zip(captions, many.layouts.tolist(), strict=True) if at == SIDE_BY_SIDE
    ]
    assert sum(" right of " in text for text in side_by_side) / len(side_by_side) == pytest.approx(
        0.5, abs=0.03
    )
    assert sum("background" in text for text in captions) / len(captions) == pytest.approx(0.85, abs=0.015)


def test_both_orders_tell_of_the_same_scene():
    scene = row([3, 8], [1, 3], ground=2, layout=SIDE_BY_SIDE)
    told = {scene.captions(generator=seeded(seed), ground_said=1.0)[0] for seed in range(20)}
    assert told == {
        "a green three left of a yellow eight on a blue background",
        "a yellow eight right of a green three on a blue background",
    }
    assert {heard(text) for text in told} == set(rows(scene))
    assert row([3, 8], [1, 3], 2, STACKED).captions(generator=None) == [
        "a green three above a yellow eight on a blue background"
    ]


def test_the_ground_may_never_be_said(many):
    assert not any("background" in text for text in many.captions(generator=seeded(), ground_said=0.0))


# --- images ---


def near(images, colours, tolerance=1e-5):
    """(N, 64, 64) bool: pixels that bear a colour, (N, 3) in [0, 1]."""
    return ((images + 1) / 2 - colours[:, :, None, None]).abs().amax(dim=1) < tolerance


@pytest.fixture(scope="module")
def shown(many, digits):
    """Two hundred scenes of each layout, and their images."""
    some = Scenes.joined([many[many.layouts == layout][:200] for layout in range(3)])
    return some, render(some, digits, generator=seeded(1))


def test_images_have_the_size_and_range_stated(shown):
    some, images = shown
    assert images.shape == (len(some), 3, SIZE, SIZE) and images.dtype == torch.float32
    assert images.min() >= -1 and images.max() <= 1


def test_most_of_an_image_is_exactly_its_ground(shown):
    some, images = shown
    ground = (2 * palette(GROUNDS)[some.grounds] - 1)[:, :, None, None]
    bare = (images == ground).all(dim=1).double().mean(dim=(1, 2))
    assert bare.min() > 0.35 and bare.mean() > 0.7


def test_strokes_reach_the_colour_of_their_ink(shown):
    some, images = shown
    for slot in range(2):
        there = some.digits[:, slot] >= 0
        full = near(images[there], palette(INKS)[some.inks[there, slot]]).sum(dim=(1, 2))
        assert full.min() >= 15 and full.median() >= 100  # of 4,096


def test_there_is_no_colour_beside_ground_inks_and_what_lies_between(shown):
    """Of a lone digit: the three channels agree on how much of a pixel is ink."""
    some, images = shown
    lone = some.layouts == ONE
    ground, ink = palette(GROUNDS)[some.grounds[lone]], palette(INKS)[some.inks[lone, 0]]
    way = (ink - ground)[:, :, None, None]
    from_ground = (images[lone] + 1) / 2 - ground[:, :, None, None]
    share = (from_ground * way).sum(dim=1, keepdim=True) / way.square().sum(dim=1, keepdim=True)
    assert share.min() > -1e-5 and share.max() < 1 + 1e-5
    assert torch.allclose(from_ground, share * way, rtol=0, atol=1e-5)


def centres(mask):
    """(N, 2): x and y of the mean pixel."""
    at = torch.arange(SIZE, dtype=torch.float64)
    total = mask.sum(dim=(1, 2))
    return torch.stack([(mask.sum(dim=1) @ at) / total, (mask.sum(dim=2) @ at) / total], dim=1)


@pytest.mark.parametrize(("layout", "axis"), [(SIDE_BY_SIDE, 0), (STACKED, 1)])
def test_the_first_of_two_digits_is_on_the_left_or_above(shown, layout, axis):
    some, images = shown
    chosen = (some.layouts == layout) & (some.inks[:, 0] != some.inks[:, 1])
    some, images = some[chosen], images[chosen]
    first, second = (centres(near(images, palette(INKS)[some.inks[:, slot]]).double()) for slot in range(2))
    assert ((second - first)[:, axis] > 15).all()
    assert (second - first)[:, 1 - axis].abs().mean() < 10


def strokes(some, digits, generator):
    """(N, 2, 64, 64): the share of ink of each place."""
    hands = [scenes._hands(some.digits[:, slot], digits, generator) for slot in range(2)]
    return torch.cat([scenes._strokes(some, slot, hands[slot], generator) for slot in range(2)], dim=1)


def test_two_digits_hardly_overlap(many, digits):
    two = many[many.layouts != ONE][:1000]
    inked = strokes(two, digits, seeded(2))
    covered = inked.amin(dim=1).sum(dim=(1, 2)) / inked.amax(dim=1).sum(dim=(1, 2))
    assert covered.max() < 0.05
    assert (covered > 0.01).double().mean() < 0.02


def test_little_ink_is_lost_at_the_border(many, digits):
    """Against the same digits, sized by the same draws, in the middle of an image of their own."""
    for layout in range(3):
        some = many[many.layouts == layout][:400]
        hands = scenes._hands(some.digits[:, 0], digits, seeded(2))
        placed = scenes._strokes(some, 0, hands, seeded(3)).sum(dim=(1, 2, 3))
        low, high = scenes.FRAMES[layout]
        size = low + (high - low) * torch.rand(400, generator=seeded(3))
        theta = (SIZE / size)[:, None, None] * torch.eye(2, 3)
        grid = F.affine_grid(theta, [400, 1, SIZE, SIZE], align_corners=False)
        alone = (
            (scenes.SOLID * F.grid_sample(hands, grid, align_corners=False)).clamp(max=1).sum(dim=(1, 2, 3))
        )
        lost = 1 - placed / alone
        assert lost.mean() < 0.01 and lost.max() < 0.2


def test_the_same_generator_renders_the_same_images_and_each_digit_has_a_hand_of_its_own(digits):
    same = Scenes.joined([row([7, -1], [0, -1])] * 8)
    once, again, other = (render(same, digits, generator=seeded(seed)) for seed in (0, 0, 1))
    assert torch.equal(once, again) and not torch.equal(once, other)
    distances = torch.cdist(once.flatten(1), once.flatten(1))
    assert distances[~torch.eye(8, dtype=torch.bool)].min() > 1


def test_hands_are_those_of_the_digit_asked_for(digits):
    """Each digit of the set may be chosen, and no other one."""
    few = digits.balanced(3)
    marked = type(few)(
        few.labels.view(-1, 1, 1, 1) + torch.arange(30).view(-1, 1, 1, 1) / 100, few.labels, (0, 1)
    )
    labels = torch.arange(10).repeat(100)
    marks = scenes._hands(labels, marked, seeded()).flatten()
    assert torch.equal(marks.floor().long(), labels)
    assert len(marks.unique()) == 30


def test_ink_covers_ground_and_colour_is_chosen_apart_from_the_hand(digits):
    """The same draws in another colour: the same pixels are ink."""
    red, white = (row([5, -1], [INKS.index(ink), -1]) for ink in ("red", "white"))
    images = [render(one, digits, generator=seeded()) for one in (red, white)]
    bare = [near(image, palette(["grey"])) for image in images]
    assert torch.equal(*bare) and 0.5 < bare[0].double().mean() < 0.95


def test_a_palette_is_red_green_blue_from_0_to_1():
    assert torch.equal(palette(["white"]), torch.ones(1, 3))
    assert torch.allclose(palette(["red", "blue"]).argmax(dim=1), torch.tensor([0, 2]))
    assert torch.pdist(palette(list(scenes.COLOURS))).min() > 0.25


# --- edges ---


def test_the_edge_of_a_step_is_its_height_on_both_sides():
    image = torch.full((1, 3, 6, 8), -1.0)
    image[:, :, :, 5:] = 1
    found = edges(image)
    assert found.shape == (1, 3, 6, 8)
    assert (found[..., 4:6] == 1).all() and (found[..., :4] == 0).all() and (found[..., 6:] == 0).all()
    image[:, :, :, 5:] = -0.5
    assert (edges(image)[..., 4:6] == 0.25).all()


def test_a_step_in_one_channel_is_enough():
    image = torch.zeros(1, 3, 6, 6)
    image[:, 1, 3:] = 0.5
    assert torch.equal(edges(image), edges(image[:, 1:2]))
    assert (edges(image)[:, :, 2:4] == 0.25).all()


@pytest.mark.parametrize("value", [-1.0, 0.3, 1.0])
def test_what_is_flat_has_no_edges(value):
    assert (edges(torch.full((2, 3, 5, 7), value)) == 0).all()


def test_a_ramp_has_its_slope():
    image = torch.linspace(-1, 1, 11).expand(1, 1, 4, 11)
    found = edges(image)
    assert torch.allclose(found[..., 1:-1], torch.tensor(0.2))
    assert torch.allclose(found[..., [0, -1]], torch.tensor(0.1))


@given(*[st.integers(1, 7)] * 3, st.integers(0, 99))
def test_edges_are_in_range_grey_and_turn_with_the_image(channels, height, width, seed):
    images = 2 * torch.rand(2, channels, height, width, generator=seeded(seed)) - 1
    found = edges(images)
    assert found.shape == (2, 3, height, width)
    assert found.min() >= 0 and found.max() <= 1
    assert torch.equal(found, found[:, :1].expand(-1, 3, -1, -1))
    assert torch.equal(edges(-images), found)
    assert torch.equal(edges(images.mT), found.mT)
    assert torch.equal(edges(images.flip(3)), found.flip(3))


def test_edges_of_a_scene_lie_where_ink_meets_ground(shown):
    some, images = shown
    lone = some.layouts == ONE
    edge = edges(images[lone])[:, 0] > 0.3
    ground = palette(GROUNDS)[some.grounds[lone]]
    bare = near(images[lone], ground)
    far = F.max_pool2d((~bare)[:, None].float(), 3, stride=1, padding=1)[:, 0] == 0
    assert not (edge & far).any()
    assert edge.sum(dim=(1, 2)).min() > 60


# --- refusals ---


@pytest.mark.parametrize("count", [0, -3])
@pytest.mark.parametrize("function", [draw_scenes, training_scenes])
def test_at_least_one_scene_is_drawn(function, count):
    with pytest.raises(ValueError, match=f"^{function.__name__}: count must be at least 1, got {count}"):
        function(count, generator=seeded())
    with pytest.raises(TypeError, match=f"^{function.__name__}: count must be an int, got float 2.0"):
        function(2.0, generator=seeded())


def test_so_many_test_scenes_are_no_fewer_than_none():
    with pytest.raises(ValueError, match=r"^test_scenes: unseen must be at least 0, got -1"):
        scenes.test_scenes(3, -1, generator=seeded())
    assert len(scenes.test_scenes(0, 0, generator=seeded())) == 0


@pytest.mark.parametrize(
    ("inks", "got"), [([], "none"), ([0, 9], "0, 9"), ([-1], "-1"), (["red"], "'red'"), ([1.0], "1.0")]
)
def test_inks_that_are_none_are_refused(inks, got):
    with pytest.raises(
        ValueError,
        match=rf"^draw_scenes: inks must be among 0..8, got {got}. They are positions in red, green",
    ):
        draw_scenes(3, generator=seeded(), inks=inks)


@pytest.mark.parametrize(("layout", "got"), [(3, "3"), (-1, "-1"), ("stacked", "'stacked'")])
def test_a_layout_that_is_none_is_refused(layout, got):
    with pytest.raises(
        ValueError,
        match=rf"^draw_scenes: layout must be among 0..2, got {got}. They are positions in one, side",
    ):
        draw_scenes(3, generator=seeded(), layout=layout)


@pytest.mark.parametrize("share", [85, -0.1])
def test_a_share_of_captions_is_none_of_percent(many, share):
    with pytest.raises(
        ValueError, match=rf"^captions: ground_said must lie in 0..1, got {share}.* not a percent"
    ):
        many.captions(generator=seeded(), ground_said=share)


def test_a_lacking_digit_is_named(digits):
    two = row([4, 7], [0, 1], layout=STACKED)
    with pytest.raises(
        ValueError, match=r"^render: digits must hold every digit .* got none of \[7\]\. A class"
    ):
        render(two, digits.of_class(4, 5), generator=seeded())
    assert render(two, digits.of_class(4, 7), generator=seeded()).shape == (1, 3, SIZE, SIZE)


@pytest.mark.parametrize(
    ("options", "got"),
    [
        ({"size": 32}, r"\(10000, 1, 32, 32\) in \(0.0, 1.0\)"),
        ({"value_range": (-1.0, 1.0)}, r"\(10000, 1, 28, 28\) in \(-1.0, 1.0\)"),
    ],
)
def test_digits_of_another_size_or_range_are_refused(options, got):
    with pytest.raises(
        ValueError, match=rf"^render: digits must be \(M, 1, 28, 28\) in \(0, 1\), got {got}. Load"
    ):
        render(row([1, -1], [0, -1]), load("mnist", "test", **options), generator=seeded())


def test_one_scene_is_not_a_batch(many):
    with pytest.raises(
        ValueError, match=r"^Scenes: digits and inks must be \(N, 2\) int64.* One scene of many is a sl"
    ):
        many[torch.tensor(3)]


@pytest.mark.parametrize("name", ["digits", "inks", "grounds", "layouts"])
def test_other_shapes_and_dtypes_are_refused(many, name):
    parts = {part: getattr(many[:5], part) for part in ("digits", "inks", "grounds", "layouts")}
    for wrong in (parts[name][:4], parts[name].float(), parts[name][..., None]):
        with pytest.raises(
            ValueError, match=r"^Scenes: digits and inks must be \(N, 2\) int64.* got for \w+ a "
        ):
            Scenes(**parts | {name: wrong})


@pytest.mark.parametrize(
    "wrong",
    [
        ([10, -1], [0, -1], 3, ONE),
        ([1, -1], [9, -1], 3, ONE),
        ([1, -1], [0, -1], 4, ONE),
        ([1, -1], [0, -1], -1, ONE),
        ([1, -1], [0, -1], 3, 3),
        ([-1, -1], [0, -1], 3, ONE),
        ([1, 2], [0, 1], 3, ONE),
        ([1, -1], [0, 1], 3, ONE),
        ([1, -1], [0, -1], 3, STACKED),
        ([1, 2], [0, -1], 3, SIDE_BY_SIDE),
        ([1, 2], [0, -2], 3, SIDE_BY_SIDE),
        ([1, -2], [0, -1], 3, ONE),
    ],
)
def test_scenes_that_mean_nothing_are_refused(wrong):
    good = row([1, -1], [0, -1])
    with pytest.raises(
        ValueError, match=r"^Scenes: digits must lie in 0..9, .* got in scene 1 .*'digits'.* are -1"
    ):
        digits, inks, ground, layout = (torch.tensor([value]) for value in wrong)
        Scenes(
            torch.cat([good.digits, digits]),
            torch.cat([good.inks, inks]),
            torch.cat([good.grounds, ground]),
            torch.cat([good.layouts, layout]),
        )


def test_edges_of_what_is_no_image_are_refused():
    with pytest.raises(
        ValueError, match=r"^edges: images must have 4 dimensions \(N, C, H, W\), got shape \(3, 64"
    ):
        edges(torch.zeros(3, 64, 64))
    with pytest.raises(
        TypeError, match=r"^edges: images must be a floating-point tensor, got a uint8 tensor"
    ):
        edges(torch.zeros(1, 3, 64, 64, dtype=torch.uint8))
