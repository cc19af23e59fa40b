"""Optimisers from other packages, as steps on a torch module: the extra `bench` installs them.

Each entry of PEERS takes a module and returns a function of (inputs, targets) that takes one step
on the mean squared error. Settings are the packages' own defaults except where a comment says why.
"""

import os

import torch
from torch import nn
from torch.nn.functional import mse_loss

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))


def layers(hidden, output, hidden_bias=None, output_bias=None):
    """Return relu(X hidden + hidden_bias) output + output_bias as a module, all float32.

    Without biases the output layer is fixed, as in the paper's network.
    """
    trained = hidden_bias is not None
    first = nn.Linear(*hidden.shape, bias=trained)
    second = nn.Linear(*output.shape, bias=trained)
    with torch.no_grad():
        first.weight.copy_(torch.as_tensor(hidden.T))
        second.weight.copy_(torch.as_tensor(output.T))
        if trained:
            first.bias.copy_(torch.as_tensor(hidden_bias))
            second.bias.copy_(torch.as_tensor(output_bias))
    second.requires_grad_(trained)
    return nn.Sequential(first, nn.ReLU(), second)


def descend(module, make_optimiser):
    optimiser = make_optimiser([p for p in module.parameters() if p.requires_grad])

    def step(inputs, targets):
        optimiser.zero_grad()
        loss = mse_loss(module(inputs), targets)
        loss.backward()
        optimiser.step()

    return step


def adam(module):
    return descend(module, torch.optim.Adam)


def lbfgs(module):
    """Twenty iterations a step (torch's default), with a line search: without one it diverges."""
    optimiser = torch.optim.LBFGS(
        [p for p in module.parameters() if p.requires_grad], line_search_fn="strong_wolfe"
    )

    def step(inputs, targets):
        def closure():
            optimiser.zero_grad()
            loss = mse_loss(module(inputs), targets)
            loss.backward()
            return loss

        optimiser.step(closure)

    return step


def soap(module):
    from pytorch_optimizer import SOAP

    # No weight decay, like the others; a factor of 256 x 256 anew every tenth step is the default.
    return descend(module, lambda parameters: SOAP(parameters, weight_decay=0.0))


def shampoo(module):
    from pytorch_optimizer import ScalableShampoo

    # Its default of 1000 steps between preconditioners would leave most fits without one.
    return descend(
        module, lambda parameters: ScalableShampoo(parameters, preconditioning_compute_steps=10)
    )


def kfac(module):
    from asdl.precondition import KfacGradientMaker, PreconditioningConfig

    # Its defaults, a damping of 1e-7 and a learning rate that it leaves to the user, diverge.
    config = PreconditioningConfig(damping=1e-2)
    maker = KfacGradientMaker(module, config, loss_type="mse")
    optimiser = torch.optim.SGD([p for p in module.parameters() if p.requires_grad], lr=0.1)

    def step(inputs, targets):
        config.data_size = len(inputs)
        output = maker.setup_model_call(module, inputs)
        maker.setup_loss_call(mse_loss, output, targets)
        maker.forward_and_backward()
        optimiser.step()

    return step


def levenberg_marquardt(module):
    from torch_levenberg_marquardt.training import LevenbergMarquardtModule

    # QR, the default, takes several times as long as Cholesky.
    trainer = LevenbergMarquardtModule(module, solve_method="cholesky", max_batch_size=4096)

    def step(inputs, targets):
        trainer.training_step(inputs, targets)

    return step


PEERS = {
    "torch-adam": adam,
    "torch-lbfgs": lbfgs,
    "soap": soap,
    "shampoo": shampoo,
    "kfac": kfac,
    "lm": levenberg_marquardt,
}
#: These take steps on all rows; the others on batches.
ON_ALL_ROWS = ("torch-lbfgs", "lm")


def missing(name):
    """Return why a peer cannot run here, or an empty string."""
    module = layers(torch.zeros(1, 4).numpy(), torch.zeros(4, 1).numpy(), torch.zeros(4), [0.0])
    try:
        PEERS[name](module)
    except ImportError as error:
        return f"{name}: {error}"
    return ""
