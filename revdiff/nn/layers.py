"""The layers that have parameters, or hold modules that have."""

from diffcore.nn import activation, container, convolution, embedding, linear, normalisation
from revdiff.nn.module import Module


class Sequential(container.Sequential, Module):
    """`diffcore.nn.Sequential` of reverse-mode modules."""


class ModuleList(container.ModuleList, Module):
    """`diffcore.nn.ModuleList` of reverse-mode modules."""


class ModuleDict(container.ModuleDict, Module):
    """`diffcore.nn.ModuleDict` of reverse-mode modules."""


class ParameterList(container.ParameterList, Module):
    """`diffcore.nn.ParameterList` holding reverse-mode parameters."""


class ParameterDict(container.ParameterDict, Module):
    """`diffcore.nn.ParameterDict` holding reverse-mode parameters."""


class Linear(linear.Linear, Module):
    """`diffcore.nn.Linear` holding reverse-mode parameters."""


class Bilinear(linear.Bilinear, Module):
    """`diffcore.nn.Bilinear` holding reverse-mode parameters."""


class Conv1d(convolution.Conv1d, Module):
    """`diffcore.nn.Conv1d` holding reverse-mode parameters."""


class Conv2d(convolution.Conv2d, Module):
    """`diffcore.nn.Conv2d` holding reverse-mode parameters."""


class Conv3d(convolution.Conv3d, Module):
    """`diffcore.nn.Conv3d` holding reverse-mode parameters."""


class ConvTranspose1d(convolution.ConvTranspose1d, Module):
    """`diffcore.nn.ConvTranspose1d` holding reverse-mode parameters."""


class ConvTranspose2d(convolution.ConvTranspose2d, Module):
    """`diffcore.nn.ConvTranspose2d` holding reverse-mode parameters."""


class ConvTranspose3d(convolution.ConvTranspose3d, Module):
    """`diffcore.nn.ConvTranspose3d` holding reverse-mode parameters."""


class BatchNorm1d(normalisation.BatchNorm1d, Module):
    """`diffcore.nn.BatchNorm1d` holding reverse-mode parameters."""


class BatchNorm2d(normalisation.BatchNorm2d, Module):
    """`diffcore.nn.BatchNorm2d` holding reverse-mode parameters."""


class BatchNorm3d(normalisation.BatchNorm3d, Module):
    """`diffcore.nn.BatchNorm3d` holding reverse-mode parameters."""


class LayerNorm(normalisation.LayerNorm, Module):
    """`diffcore.nn.LayerNorm` holding reverse-mode parameters."""


class GroupNorm(normalisation.GroupNorm, Module):
    """`diffcore.nn.GroupNorm` holding reverse-mode parameters."""


class InstanceNorm1d(normalisation.InstanceNorm1d, Module):
    """`diffcore.nn.InstanceNorm1d` holding reverse-mode parameters."""


class InstanceNorm2d(normalisation.InstanceNorm2d, Module):
    """`diffcore.nn.InstanceNorm2d` holding reverse-mode parameters."""


class RMSNorm(normalisation.RMSNorm, Module):
    """`diffcore.nn.RMSNorm` holding reverse-mode parameters."""


class Embedding(embedding.Embedding, Module):
    """`diffcore.nn.Embedding` holding reverse-mode parameters."""


class PReLU(activation.PReLU, Module):
    """`diffcore.nn.PReLU` holding reverse-mode parameters."""
