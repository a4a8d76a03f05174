"""The networks of teacher files of version 1, whose layers were numbered."""

from torch import nn


class Residual(nn.Module):
    def __init__(self, inputs, outputs, pool):
        super().__init__()
        self.shrink = nn.MaxPool2d(2) if pool else nn.Identity()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = nn.Identity()
        if inputs != outputs:
            self.shortcut = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x):
        x = self.shrink(x)
        return (self.body(x) + self.shortcut(x)).relu()


#: For images of 1 x 10 x 10 and three classes.
CONFIGS = {
    "mlp": {"hidden": [7, 6], "dropout": 0.3},
    "cnn": {
        "channels": [2, 3, 4],
        "kernels": [3, 3, 3],
        "pools": [False, True, False],
        "same": False,
        "hidden": 5,
        "dropout": 0.2,
    },
    "resnet": {"stem": 3, "pool_stem": True, "channels": [3, 4], "blocks": 2},
}

LAYERS = {
    "mlp": lambda: [
        nn.Flatten(),
        *(nn.Linear(100, 7, bias=False), nn.BatchNorm1d(7), nn.ReLU(), nn.Dropout(0.3)),
        *(nn.Linear(7, 6, bias=False), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.3)),
        nn.Linear(6, 3),
    ],
    "cnn": lambda: [
        *(nn.Conv2d(1, 2, 3, bias=False), nn.BatchNorm2d(2), nn.ReLU()),
        *(nn.Conv2d(2, 3, 3, bias=False), nn.MaxPool2d(2), nn.BatchNorm2d(3), nn.ReLU()),
        *(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU()),
        nn.Flatten(),
        *(nn.Linear(4, 5, bias=False), nn.BatchNorm1d(5), nn.ReLU(), nn.Dropout(0.2)),
        nn.Linear(5, 3),
    ],
    "resnet": lambda: [
        nn.Conv2d(1, 3, 3, padding=1, bias=False),
        *(nn.MaxPool2d(2), nn.BatchNorm2d(3), nn.ReLU()),
        *(Residual(3, 3, False), Residual(3, 3, False)),
        *(Residual(3, 4, True), Residual(4, 4, False)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)),
    ],
}


class NumberedNetwork(nn.Module):
    def __init__(self, arch):
        super().__init__()
        self.layers = nn.Sequential(*LAYERS[arch]())

    def forward(self, x):
        return self.layers(x)
