"""The story of the first chapter on the real threes and sevens: from pixels to a learner.

Runs as a notebook would: one namespace from the star import, cells one after the other. The
figures asserted here are those that the data gives by any correct computation.
"""

import pytest

from presize.vision.all import *


@pytest.fixture(scope="module")
def digits(mnist_path):
    """The folder, and the pictures of each digit as float tensors in 0..1."""
    root = Path(mnist_path)
    Path.BASE_PATH = root
    read = {}
    for part in ("train", "valid"):
        for digit in "37":
            files = (root / part / digit).ls().sorted()
            stack = torch.stack([tensor(Image.open(f)) for f in files])
            read[part, digit] = stack.float() / 255
    yield root, read
    Path.BASE_PATH = None


@pytest.fixture(scope="module")
def flat(digits):
    """Rows of 784 pixels with the label 1 for a three; training and validation pairs."""
    _, read = digits
    sets = []
    for part in ("train", "valid"):
        pixels = torch.cat([read[part, "3"], read[part, "7"]]).view(-1, 784)
        labels = tensor([1] * len(read[part, "3"]) + [0] * len(read[part, "7"])).unsqueeze(1)
        sets.append(list(zip(pixels, labels, strict=True)))
    return sets


def distance_loss(outputs, labels):
    """How far the sigmoid of the output is from the label, on average."""
    chance = outputs.sigmoid()
    return torch.where(labels == 1, 1 - chance, chance).mean()


def share_right(outputs, labels):
    return ((outputs.sigmoid() > 0.5) == labels).float().mean()


def test_folders_print_as_short_lists(digits):
    root, _ = digits
    assert repr(root.ls().sorted()) == ("(#3) [Path('labels.csv'),Path('train'),Path('valid')]")
    threes = (root / "train" / "3").ls().sorted()
    assert repr(threes).startswith("(#6131) [Path('train/3/10.png'),Path('train/3/10000.png'),")
    assert repr(threes).endswith("Path('train/3/10091.png')...]")


def test_a_picture_is_numbers(digits):
    root, _ = digits
    picture = Image.open((root / "train" / "3").ls().sorted()[1])
    numbers = array(picture)[4:10, 4:10]
    assert numbers.dtype == np.uint8
    assert numbers[3].tolist() == [0, 93, 244, 249, 253, 187]
    assert tensor(picture)[4:10, 4:10].tolist() == numbers.tolist()
    frame = pd.DataFrame(tensor(picture)[4:15, 4:22])
    assert "background-color" in frame.style.background_gradient("Greys").to_html()


def test_the_mean_digit_tells_threes_from_sevens(digits):
    _, read = digits
    assert {k: len(v) for k, v in read.items()} == {
        ("train", "3"): 6131,
        ("train", "7"): 6265,
        ("valid", "3"): 1010,
        ("valid", "7"): 1028,
    }
    ideal = {d: read["train", d].mean(0) for d in "37"}
    one = read["train", "3"][1]
    printed = [f"{(one - ideal[d]).abs().mean():.4f}" for d in "37"]
    printed += [f"{((one - ideal[d]) ** 2).mean().sqrt():.4f}" for d in "37"]
    assert printed == ["0.1114", "0.1586", "0.2021", "0.3021"]
    assert f"{F.l1_loss(one, ideal['7']):.4f}" == "0.1586"

    def is_three(x):
        near = {d: (x - ideal[d]).abs().mean((-1, -2)) for d in "37"}
        return near["3"] < near["7"]

    threes = is_three(read["valid", "3"]).float().mean()
    sevens = 1 - is_three(read["valid", "7"]).float().mean()
    assert [f"{v:.4f}" for v in (threes, sevens, (threes + sevens) / 2)] == [
        "0.9168",
        "0.9854",
        "0.9511",
    ]


def test_pictures_and_functions_are_drawn(digits):
    _, read = digits
    axes = show_image(read["train", "3"].mean(0))
    assert axes.images[0].get_array().shape[:2] == (28, 28)
    plot_function(torch.sigmoid, title="Sigmoid", min=-4, max=4)
    assert plt.gca().get_title() == "Sigmoid"
    assert plt.gca().lines[0].get_xdata().min() == -4
    plot_function(F.relu)
    plot_function(lambda v: v**2, "v", "v squared")
    plt.scatter(-1.5, 2.25, color="red")


def test_arrays_and_tensors_behave_alike():
    rows = [[1, 2, 3], [4, 5, 6]]
    assert array(rows).tolist() == tensor(rows).tolist() == rows
    t = tensor(rows)
    assert t[:, 1].tolist() == [2, 5]
    assert t[1, 1:3].tolist() == [5, 6]
    assert (t + 1).tolist() == [[2, 3, 4], [5, 6, 7]]
    assert t.type() == "torch.LongTensor"
    assert (t * 1.5).dtype == torch.float32
    assert (tensor([1, 2, 3]) + tensor(1)).tolist() == [2, 3, 4]


def test_gradients_are_there_to_be_followed():
    x = tensor([3.0, 4.0, 10.0]).requires_grad_()
    (x**2).sum().backward()
    assert x.grad.tolist() == [6, 8, 20]
    time = torch.arange(0, 20).float()
    torch.manual_seed(0)
    speed = torch.randn(20) * 3 + 0.75 * (time - 9.5) ** 2 + 1
    weights = torch.randn(3).requires_grad_()
    losses = []
    for _ in range(10):
        a, b, c = weights
        loss = ((a * time**2 + b * time + c - speed) ** 2).mean()
        loss.backward()
        weights.data -= 1e-5 * weights.grad.data
        weights.grad = None
        losses.append(loss.item())
    assert losses == sorted(losses, reverse=True)
    _, grid = plt.subplots(1, 2)
    grid[0].scatter(time, to_np(speed))


def test_a_graph_is_drawn_from_its_description():
    graph = gv("begin->predict->loss->step; step->predict[label=again]")
    assert "step->predict[label=again]" in graph.source


def test_loaders_batch_any_collection():
    batches = list(DataLoader(range(15), batch_size=5, shuffle=True))
    assert [len(b) for b in batches] == [5, 5, 5]
    assert sorted(torch.cat(batches).tolist()) == list(range(15))
    letters = L(enumerate(string.ascii_lowercase))
    assert repr(letters).startswith("(#26) [(0, 'a'),(1, 'b'),(2, 'c')")
    numbers, names = first(DataLoader(letters, batch_size=6))
    assert repr(numbers) == "tensor([0, 1, 2, 3, 4, 5])"
    assert names == ("a", "b", "c", "d", "e", "f")
    assert [len(n) for _, n in DataLoader(letters, batch_size=6, shuffle=True)] == [6] * 4 + [2]


def train_by_hand(step, model, flat, epochs):
    train, valid = flat
    train_dl = DataLoader(train, batch_size=256)
    valid_dl = DataLoader(valid, batch_size=256)
    for _ in range(epochs):
        for x, y in train_dl:
            distance_loss(model(x), y).backward()
            step()
    with torch.no_grad():
        return torch.stack([share_right(model(x), y) for x, y in valid_dl]).mean().item()


def test_gradient_descent_by_hand(flat):
    torch.manual_seed(0)
    weights = torch.randn(784, 1).requires_grad_()
    bias = torch.randn(1).requires_grad_()

    def step():
        for p in (weights, bias):
            p.data -= p.grad * 1.0
            p.grad.zero_()

    right = train_by_hand(step, lambda x: x @ weights + bias, flat, 20)
    assert right == pytest.approx(0.9696, abs=0.012)


def test_an_optimizer_does_the_same(flat):
    torch.manual_seed(0)
    model = nn.Linear(784, 1)
    opt = SGD(model.parameters(), 1.0)

    def step():
        opt.step()
        opt.zero_grad()

    assert train_by_hand(step, model, flat, 20) == pytest.approx(0.9696, abs=0.012)


def make_dls(flat):
    return DataLoaders(DataLoader(flat[0], batch_size=256), DataLoader(flat[1], batch_size=256))


def test_a_learner_trains_the_linear_model(flat):
    set_seed(0)
    learn = Learner(
        make_dls(flat),
        nn.Linear(784, 1),
        opt_func=SGD,
        loss_func=distance_loss,
        metrics=share_right,
    )
    learn.fit(10, lr=1.0)
    assert learn.recorder.values[-1][2] == pytest.approx(0.9676, abs=0.008)


def test_a_second_layer_does_better(flat):
    set_seed(0)
    net = nn.Sequential(nn.Linear(784, 30), nn.ReLU(), nn.Linear(30, 1))
    learn = Learner(make_dls(flat), net, opt_func=SGD, loss_func=distance_loss, metrics=share_right)
    learn.fit(40, 0.1)
    accuracies = L(learn.recorder.values).itemgot(2)
    assert len(accuracies) == 40
    plt.plot(accuracies)
    assert learn.recorder.values[-1][2] == pytest.approx(0.9828, abs=0.004)


def test_a_deep_network_from_scratch_beats_both(digits):
    root, _ = digits
    set_seed(0)
    dls = ImageDataLoaders.from_folder(root)
    learn = cnn_learner(
        dls, resnet18, pretrained=False, loss_func=F.cross_entropy, metrics=accuracy
    )
    learn.fit_one_cycle(1, 0.1)
    assert learn.recorder.values[-1][2] == pytest.approx(0.997, abs=0.004)
