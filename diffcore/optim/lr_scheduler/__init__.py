"""Learning-rate schedules, under PyTorch's names; the same for both engines."""

from diffcore.optim.lr_scheduler.combined import ChainedScheduler, SequentialLR
from diffcore.optim.lr_scheduler.cosine import CosineAnnealingLR, CosineAnnealingWarmRestarts, OneCycleLR
from diffcore.optim.lr_scheduler.decay import ConstantLR, ExponentialLR, LinearLR, MultiStepLR, PolynomialLR, StepLR
from diffcore.optim.lr_scheduler.functions import LambdaLR, MultiplicativeLR
from diffcore.optim.lr_scheduler.plateau import ReduceLROnPlateau
from diffcore.optim.lr_scheduler.scheduler import LRScheduler

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]
