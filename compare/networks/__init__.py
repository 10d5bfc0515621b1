"""The networks that can be compared, by name. Nothing heavy is imported here: a network is built on the engine it is given."""

from __future__ import annotations

from compare.networks import (
    alexnet,
    densenet,
    googlenet,
    kernel_svm,
    lasso,
    lenet,
    linear,
    mlp,
    nin,
    perceptron,
    recurrent,
    resnet,
    ridge,
    softmax,
    svm,
    vgg,
    vit,
    yolo,
)
from compare.networks.base import Network

NETWORKS: dict[str, Network] = {
    network.name: network
    for network in (
        linear.NETWORK,
        ridge.NETWORK,
        lasso.NETWORK,
        softmax.NETWORK,
        perceptron.NETWORK,
        svm.NETWORK,
        kernel_svm.NETWORK,
        mlp.NETWORK,
        lenet.NETWORK,
        *alexnet.NETWORKS,
        *vgg.NETWORKS,
        *nin.NETWORKS,
        *googlenet.NETWORKS,
        *resnet.NETWORKS,
        *densenet.NETWORKS,
        *recurrent.NETWORKS,
        *vit.NETWORKS,
        yolo.NETWORK,
    )
}
"""Every network, by the name the command line knows it by."""

__all__ = ["NETWORKS", "Network"]
