"""The notebook namespace: `from presize.vision.all import *` brings every name of the tutorials.

A list, not code. Programs import the names they need from their homes, which stand here.
"""

import gc

# A collection that falls into the imports walks over all that PyTorch made, for 0.3 s: more than
# these imports take. It comes right after them all the same, if it is due.
_collecting = gc.isenabled()
gc.disable()

import re
import string
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from presize.augment.colour import Brightness, Contrast, Hue, LightingTfm, Saturation
from presize.augment.erase import RandomErasing
from presize.augment.fused import AffineCoordTfm, FusedAugment
from presize.augment.geometry import Dihedral, Flip, RandomResizedCropGPU, Rotate, Warp, Zoom
from presize.augment.policies import RandAugment, TrivialAugment
from presize.augment.presets import (
    Normalize,
    aug_transforms,
    cifar_stats,
    imagenet_stats,
    mnist_stats,
    setup_aug_tfms,
)
from presize.callbacks.base import (
    Callback,
    CancelBatch,
    CancelBatchException,
    CancelEpoch,
    CancelEpochException,
    CancelFit,
    CancelFitException,
    CancelStep,
    CancelStepException,
    CancelTrain,
    CancelTrainException,
    CancelValidate,
    CancelValidException,
)
from presize.callbacks.budget import TimeBudget
from presize.callbacks.checkpoint import Checkpoints
from presize.callbacks.csv_logger import CSVLogger
from presize.callbacks.divergence import DivergenceWatch
from presize.callbacks.ema import EMA
from presize.callbacks.gather import GatherPredsCallback
from presize.callbacks.graph import ShowGraph, ShowGraphCallback
from presize.callbacks.lr_finder import LRFinder, minimum, slide, steep, valley
from presize.callbacks.mixing import CutMix, CutMixUp, MixUp
from presize.callbacks.progress import ProgressCallback
from presize.callbacks.progressive import ProgressiveResize
from presize.callbacks.recorder import Recorder
from presize.callbacks.regularise import GradientAccumulation, GradientClip
from presize.callbacks.saving import (
    EarlyStoppingCallback,
    ReduceLROnPlateau,
    SaveModelCallback,
    TrackerCallback,
)
from presize.callbacks.schedule import ParamScheduler
from presize.callbacks.tensorboard import TensorBoardCallback
from presize.callbacks.train_eval import TrainEvalCallback
from presize.core.collections import L
from presize.core.device import default_device, to_cpu, to_detach, to_device, to_float, to_half
from presize.core.foundation import (
    Inf,
    array,
    exp,
    first,
    is_listy,
    listify,
    log,
    noop,
    tensor,
    to_np,
)
from presize.core.graph import gv
from presize.core.lazy import HTML, display, pd, plt
from presize.core.paths import Path
from presize.core.pipeline import Pipeline
from presize.core.randomness import set_seed
from presize.core.ranks import is_main
from presize.core.transform import ItemTransform, RandTransform, Transform
from presize.data.albumentationstfm import AlbumentationsTransform
from presize.data.blocks import (
    CategoryBlock,
    ImageBlock,
    MaskBlock,
    MultiCategoryBlock,
    PointBlock,
    RegressionBlock,
    TransformBlock,
)
from presize.data.category import Category, CategoryMap, MultiCategory
from presize.data.check.folder import check_folder
from presize.data.crops import CropPad, PadMode, RandomCrop
from presize.data.datablock import DataBlock
from presize.data.datasets import Datasets, TfmdLists
from presize.data.decisions import Decisions
from presize.data.download import untar_data
from presize.data.folders import ImageDataLoaders
from presize.data.images import PILBase, PILImage, PILImageBW, PILMask
from presize.data.items import (
    FileGetter,
    ImageGetter,
    get_files,
    get_image_files,
    image_extensions,
)
from presize.data.labels import ColReader, RegexLabeller, parent_label, using_attr
from presize.data.loader import DataLoader
from presize.data.loaders import DataLoaders, get_c
from presize.data.points import PointScaler
from presize.data.quarantine import Quarantine
from presize.data.regression import RegressionSetup
from presize.data.resize import RandomResizedCrop, RatioResize, Resize, ResizeMethod
from presize.data.splits import (
    ColSplitter,
    EndSplitter,
    FileSplitter,
    FuncSplitter,
    GrandparentSplitter,
    IndexSplitter,
    MaskSplitter,
    RandomSplitter,
    RandomSubsetSplitter,
    TrainTestSplitter,
)
from presize.data.stream.huggingface import hub_items
from presize.data.stream.shardlist import shard_sizes
from presize.data.stream.shardsource import ShardItems, ShardLabel, Shards
from presize.data.tensorise import IntToFloatTensor, ToTensor
from presize.data.tfmdloader import TfmdDL
from presize.data.torchvisiontfm import TorchvisionTransform
from presize.data.urls import URLs
from presize.data.verify import verify_image, verify_images
from presize.data.vocab import (
    Categorize,
    EncodedMultiCategorize,
    MultiCategorize,
    OneHotEncode,
)
from presize.deploy.ensemble import load_ensemble
from presize.deploy.load import load_learner
from presize.folding.crossval import cross_validate
from presize.folding.ensemble import Ensemble
from presize.folding.outcome import CrossValidation
from presize.interpret.classification import ClassificationInterpretation
from presize.interpret.heat_map_overlay import show_heat_map
from presize.interpret.interpretation import Interpretation
from presize.interpret.label_errors import find_label_errors
from presize.learner import Learner
from presize.models.arch import create_vision_model
from presize.models.groups import default_split, params, trainable_params
from presize.models.head import AdaptiveConcatPool2d, create_head
from presize.models.zoo import (
    alexnet,
    convnext_base,
    convnext_large,
    convnext_small,
    convnext_tiny,
    densenet121,
    densenet161,
    densenet169,
    densenet201,
    efficientnet_b0,
    efficientnet_b1,
    efficientnet_b2,
    efficientnet_b3,
    efficientnet_b4,
    efficientnet_b5,
    efficientnet_b6,
    efficientnet_b7,
    efficientnet_v2_l,
    efficientnet_v2_m,
    efficientnet_v2_s,
    googlenet,
    inception_v3,
    maxvit_t,
    mnasnet0_5,
    mnasnet0_75,
    mnasnet1_0,
    mnasnet1_3,
    mobilenet_v2,
    mobilenet_v3_large,
    mobilenet_v3_small,
    regnet_x_1_6gf,
    regnet_x_3_2gf,
    regnet_x_8gf,
    regnet_x_16gf,
    regnet_x_32gf,
    regnet_x_400mf,
    regnet_x_800mf,
    regnet_y_1_6gf,
    regnet_y_3_2gf,
    regnet_y_8gf,
    regnet_y_16gf,
    regnet_y_32gf,
    regnet_y_128gf,
    regnet_y_400mf,
    regnet_y_800mf,
    resnet18,
    resnet34,
    resnet50,
    resnet101,
    resnet152,
    resnext50_32x4d,
    resnext101_32x8d,
    resnext101_64x4d,
    shufflenet_v2_x0_5,
    shufflenet_v2_x1_0,
    shufflenet_v2_x1_5,
    shufflenet_v2_x2_0,
    squeezenet1_0,
    squeezenet1_1,
    swin_b,
    swin_s,
    swin_t,
    swin_v2_b,
    swin_v2_s,
    swin_v2_t,
    vgg11,
    vgg11_bn,
    vgg13,
    vgg13_bn,
    vgg16,
    vgg16_bn,
    vgg19,
    vgg19_bn,
    vit_b_16,
    vit_b_32,
    vit_h_14,
    vit_l_16,
    vit_l_32,
    wide_resnet50_2,
    wide_resnet101_2,
)
from presize.show import (
    get_grid,
    plot_function,
    show_image,
    show_images,
    show_titled_image,
    subplots,
)
from presize.tensors import (
    TensorBase,
    TensorBBox,
    TensorCategory,
    TensorImage,
    TensorImageBW,
    TensorMask,
    TensorMultiCategory,
    TensorPoint,
    TitledFloat,
    TitledInt,
    TitledStr,
    TitledTuple,
)
from presize.train.class_weights import class_weights
from presize.train.losses import (
    BaseLoss,
    BCELossFlat,
    BCEWithLogitsLossFlat,
    CrossEntropyLossFlat,
    FocalLoss,
    FocalLossFlat,
    L1LossFlat,
    LabelSmoothingCrossEntropy,
    LabelSmoothingCrossEntropyFlat,
    MSELossFlat,
)
from presize.train.metrics import (
    AccumMetric,
    APScoreBinary,
    APScoreMulti,
    AvgLoss,
    AvgMetric,
    AvgSmoothLoss,
    BalancedAccuracy,
    BrierScore,
    BrierScoreMulti,
    CohenKappa,
    ConfusionMatrix,
    Dice,
    DiceMulti,
    ExplainedVariance,
    F1Score,
    F1ScoreMulti,
    FBeta,
    FBetaMulti,
    ForegroundAcc,
    HammingLoss,
    HammingLossMulti,
    Jaccard,
    JaccardCoeff,
    JaccardCoeffMulti,
    JaccardMulti,
    MatthewsCorrCoef,
    MatthewsCorrCoefMulti,
    Metric,
    PearsonCorrCoef,
    Perplexity,
    Precision,
    PrecisionMulti,
    R2Score,
    Recall,
    RecallMulti,
    RocAuc,
    RocAucBinary,
    RocAucMulti,
    SpearmanCorrCoef,
    accuracy,
    accuracy_multi,
    error_rate,
    exp_rmspe,
    foreground_acc,
    mae,
    mse,
    msle,
    rmse,
    top_k_accuracy,
)
from presize.train.optim import SGD, Adam, Optimizer, OptimWrapper, RAdam, RMSProp
from presize.train.schedule_plot import plot_schedules
from presize.train.schedules import (
    SchedCos,
    SchedExp,
    SchedLin,
    SchedNo,
    SchedPoly,
    combine_scheds,
    combined_cos,
    even_mults,
    flat_cos,
    one_cycle,
    sgdr,
)
from presize.vision.learner import cnn_learner, vision_learner

if _collecting:
    gc.enable()

__all__ = [
    # re
    "re",
    # string
    "string",
    # functools
    "partial",
    # numpy
    "np",
    # torch
    "torch",
    # torch.nn.functional
    "F",
    # PIL
    "Image",
    # torch
    "Tensor",
    "nn",
    # presize.augment.colour
    "Brightness",
    "Contrast",
    "Hue",
    "LightingTfm",
    "Saturation",
    # presize.augment.erase
    "RandomErasing",
    # presize.augment.fused
    "AffineCoordTfm",
    "FusedAugment",
    # presize.augment.geometry
    "Dihedral",
    "Flip",
    "RandomResizedCropGPU",
    "Rotate",
    "Warp",
    "Zoom",
    # presize.augment.policies
    "RandAugment",
    "TrivialAugment",
    # presize.augment.presets
    "Normalize",
    "aug_transforms",
    "cifar_stats",
    "imagenet_stats",
    "mnist_stats",
    "setup_aug_tfms",
    # presize.callbacks.base
    "Callback",
    "CancelBatch",
    "CancelBatchException",
    "CancelEpoch",
    "CancelEpochException",
    "CancelFit",
    "CancelFitException",
    "CancelStep",
    "CancelStepException",
    "CancelTrain",
    "CancelTrainException",
    "CancelValidate",
    "CancelValidException",
    # presize.callbacks.budget
    "TimeBudget",
    # presize.callbacks.checkpoint
    "Checkpoints",
    # presize.callbacks.csv_logger
    "CSVLogger",
    # presize.callbacks.divergence
    "DivergenceWatch",
    # presize.callbacks.ema
    "EMA",
    # presize.callbacks.gather
    "GatherPredsCallback",
    # presize.callbacks.graph
    "ShowGraph",
    "ShowGraphCallback",
    # presize.callbacks.lr_finder
    "LRFinder",
    "minimum",
    "slide",
    "steep",
    "valley",
    # presize.callbacks.mixing
    "MixUp",
    "CutMix",
    "CutMixUp",
    # presize.callbacks.progress
    "ProgressCallback",
    # presize.callbacks.progressive
    "ProgressiveResize",
    # presize.callbacks.recorder
    "Recorder",
    # presize.callbacks.regularise
    "GradientClip",
    "GradientAccumulation",
    # presize.callbacks.saving
    "EarlyStoppingCallback",
    "ReduceLROnPlateau",
    "SaveModelCallback",
    "TrackerCallback",
    # presize.callbacks.schedule
    "ParamScheduler",
    # presize.callbacks.tensorboard
    "TensorBoardCallback",
    # presize.callbacks.train_eval
    "TrainEvalCallback",
    # presize.core.collections
    "L",
    # presize.core.device
    "default_device",
    "to_cpu",
    "to_detach",
    "to_device",
    "to_float",
    "to_half",
    # presize.core.foundation
    "Inf",
    "array",
    "exp",
    "first",
    "is_listy",
    "listify",
    "log",
    "noop",
    "tensor",
    "to_np",
    # presize.core.graph
    "gv",
    # presize.core.lazy
    "HTML",
    "display",
    "pd",
    "plt",
    # presize.core.paths
    "Path",
    # presize.core.randomness
    "set_seed",
    # presize.core.pipeline
    "Pipeline",
    # presize.core.ranks
    "is_main",
    # presize.core.transform
    "ItemTransform",
    "RandTransform",
    "Transform",
    # presize.data.albumentationstfm
    "AlbumentationsTransform",
    # presize.data.blocks
    "CategoryBlock",
    "ImageBlock",
    "MaskBlock",
    "MultiCategoryBlock",
    "PointBlock",
    "RegressionBlock",
    "TransformBlock",
    # presize.data.category
    "Category",
    "CategoryMap",
    "MultiCategory",
    # presize.data.check.folder
    "check_folder",
    # presize.data.crops
    "CropPad",
    "PadMode",
    "RandomCrop",
    # presize.data.datablock
    "DataBlock",
    # presize.data.decisions
    "Decisions",
    # presize.data.datasets
    "Datasets",
    "TfmdLists",
    # presize.data.download
    "untar_data",
    # presize.data.folders
    "ImageDataLoaders",
    # presize.data.images
    "PILBase",
    "PILImage",
    "PILImageBW",
    "PILMask",
    # presize.data.items
    "FileGetter",
    "ImageGetter",
    "get_files",
    "get_image_files",
    "image_extensions",
    # presize.data.labels
    "ColReader",
    "RegexLabeller",
    "parent_label",
    "using_attr",
    # presize.data.loader
    "DataLoader",
    # presize.data.loaders
    "DataLoaders",
    "get_c",
    # presize.data.points
    "PointScaler",
    # presize.data.quarantine
    "Quarantine",
    # presize.data.regression
    "RegressionSetup",
    # presize.data.resize
    "RandomResizedCrop",
    "RatioResize",
    "Resize",
    "ResizeMethod",
    # presize.data.splits
    "ColSplitter",
    "EndSplitter",
    "FileSplitter",
    "FuncSplitter",
    "GrandparentSplitter",
    "IndexSplitter",
    "MaskSplitter",
    "RandomSplitter",
    "RandomSubsetSplitter",
    "TrainTestSplitter",
    # presize.data.stream.huggingface
    "hub_items",
    # presize.data.stream.shardlist
    "shard_sizes",
    # presize.data.stream.shardsource
    "ShardItems",
    "ShardLabel",
    "Shards",
    # presize.data.tensorise
    "IntToFloatTensor",
    "ToTensor",
    # presize.data.tfmdloader
    "TfmdDL",
    # presize.data.torchvisiontfm
    "TorchvisionTransform",
    # presize.data.urls
    "URLs",
    # presize.data.verify
    "verify_image",
    "verify_images",
    # presize.data.vocab
    "Categorize",
    "EncodedMultiCategorize",
    "MultiCategorize",
    "OneHotEncode",
    # presize.deploy.ensemble
    "load_ensemble",
    # presize.deploy.load
    "load_learner",
    # presize.folding.crossval
    "cross_validate",
    # presize.folding.ensemble
    "Ensemble",
    # presize.folding.outcome
    "CrossValidation",
    # presize.interpret.classification
    "ClassificationInterpretation",
    # presize.interpret.heat_map_overlay
    "show_heat_map",
    # presize.interpret.interpretation
    "Interpretation",
    # presize.interpret.label_errors
    "find_label_errors",
    # presize.learner
    "Learner",
    # presize.models.arch
    "create_vision_model",
    # presize.models.groups
    "default_split",
    "params",
    "trainable_params",
    # presize.models.head
    "AdaptiveConcatPool2d",
    "create_head",
    # presize.models.zoo
    "alexnet",
    "convnext_base",
    "convnext_large",
    "convnext_small",
    "convnext_tiny",
    "densenet121",
    "densenet161",
    "densenet169",
    "densenet201",
    "efficientnet_b0",
    "efficientnet_b1",
    "efficientnet_b2",
    "efficientnet_b3",
    "efficientnet_b4",
    "efficientnet_b5",
    "efficientnet_b6",
    "efficientnet_b7",
    "efficientnet_v2_l",
    "efficientnet_v2_m",
    "efficientnet_v2_s",
    "googlenet",
    "inception_v3",
    "maxvit_t",
    "mnasnet0_5",
    "mnasnet0_75",
    "mnasnet1_0",
    "mnasnet1_3",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    "regnet_x_1_6gf",
    "regnet_x_3_2gf",
    "regnet_x_8gf",
    "regnet_x_16gf",
    "regnet_x_32gf",
    "regnet_x_400mf",
    "regnet_x_800mf",
    "regnet_y_1_6gf",
    "regnet_y_3_2gf",
    "regnet_y_8gf",
    "regnet_y_16gf",
    "regnet_y_32gf",
    "regnet_y_128gf",
    "regnet_y_400mf",
    "regnet_y_800mf",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "shufflenet_v2_x0_5",
    "shufflenet_v2_x1_0",
    "shufflenet_v2_x1_5",
    "shufflenet_v2_x2_0",
    "squeezenet1_0",
    "squeezenet1_1",
    "swin_b",
    "swin_s",
    "swin_t",
    "swin_v2_b",
    "swin_v2_s",
    "swin_v2_t",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
    "vit_b_16",
    "vit_b_32",
    "vit_h_14",
    "vit_l_16",
    "vit_l_32",
    "wide_resnet50_2",
    "wide_resnet101_2",
    # presize.show
    "get_grid",
    "plot_function",
    "show_image",
    "show_images",
    "show_titled_image",
    "subplots",
    # presize.tensors
    "TensorBase",
    "TensorBBox",
    "TensorCategory",
    "TensorImage",
    "TensorImageBW",
    "TensorMask",
    "TensorMultiCategory",
    "TensorPoint",
    "TitledFloat",
    "TitledInt",
    "TitledStr",
    "TitledTuple",
    # presize.train.class_weights
    "class_weights",
    # presize.train.losses
    "BaseLoss",
    "BCELossFlat",
    "BCEWithLogitsLossFlat",
    "CrossEntropyLossFlat",
    "FocalLoss",
    "FocalLossFlat",
    "L1LossFlat",
    "LabelSmoothingCrossEntropy",
    "LabelSmoothingCrossEntropyFlat",
    "MSELossFlat",
    # presize.train.metrics
    "BrierScore",
    "BrierScoreMulti",
    "ConfusionMatrix",
    "ForegroundAcc",
    "APScoreBinary",
    "APScoreMulti",
    "AccumMetric",
    "AvgLoss",
    "AvgMetric",
    "AvgSmoothLoss",
    "BalancedAccuracy",
    "CohenKappa",
    "Dice",
    "DiceMulti",
    "ExplainedVariance",
    "F1Score",
    "F1ScoreMulti",
    "FBeta",
    "FBetaMulti",
    "HammingLoss",
    "HammingLossMulti",
    "Jaccard",
    "JaccardCoeff",
    "JaccardCoeffMulti",
    "JaccardMulti",
    "MatthewsCorrCoef",
    "MatthewsCorrCoefMulti",
    "Metric",
    "PearsonCorrCoef",
    "Perplexity",
    "Precision",
    "PrecisionMulti",
    "R2Score",
    "Recall",
    "RecallMulti",
    "RocAuc",
    "RocAucBinary",
    "RocAucMulti",
    "SpearmanCorrCoef",
    "accuracy",
    "accuracy_multi",
    "error_rate",
    "exp_rmspe",
    "foreground_acc",
    "mae",
    "mse",
    "msle",
    "rmse",
    "top_k_accuracy",
    # presize.train.optim
    "SGD",
    "Adam",
    "Optimizer",
    "OptimWrapper",
    "RAdam",
    "RMSProp",
    # presize.train.schedule_plot
    "plot_schedules",
    # presize.train.schedules
    "one_cycle",
    "flat_cos",
    "sgdr",
    "SchedCos",
    "SchedExp",
    "SchedLin",
    "SchedNo",
    "SchedPoly",
    "combine_scheds",
    "combined_cos",
    "even_mults",
    # presize.vision.learner
    "cnn_learner",
    "vision_learner",
]
