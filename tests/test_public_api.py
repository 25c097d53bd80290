"""The public names and where each one lives, as literal tables: a change here is a decision.

A name that is added, removed or moved must be changed in its table as well, and then stands in
the difference that a reviewer reads.
"""

import importlib
import subprocess
import sys

import pytest

import presize
from presize.vision import all as namespace

PROGRAMS = {
    "Calibration": "presize.train.calibration",
    "Callback": "presize.callbacks.base",
    "CategoryBlock": "presize.data.blocks",
    "ClassificationInterpretation": "presize.interpret.classification",
    "DataBlock": "presize.data.datablock",
    "DataLoader": "presize.data.loader",
    "DataLoaders": "presize.data.loaders",
    "ImageBlock": "presize.data.blocks",
    "ImageDataLoaders": "presize.data.folders",
    "Interpretation": "presize.interpret.interpretation",
    "LabelErrors": "presize.interpret.label_errors",
    "Learner": "presize.learner",
    "MultiLabelInterpretation": "presize.interpret.multilabel",
    "Prediction": "presize.deploy.prediction",
    "Predictor": "presize.deploy.predictor",
    "PresizeError": "presize.core.errors",
    "Resize": "presize.data.resize",
    "URLs": "presize.data.urls",
    "apply_decisions": "presize.data.applying",
    "aug_transforms": "presize.augment.presets",
    "export_onnx": "presize.deploy.exporting.onnx",
    "export_program": "presize.deploy.exporting.program",
    "find_label_errors": "presize.interpret.label_errors",
    "from_hub": "presize.deploy.hub",
    "heat_maps": "presize.interpret.heat_map",
    "inspect_file": "presize.deploy.inspection",
    "load_interpretation": "presize.interpret.choice",
    "load_learner": "presize.deploy.load",
    "load_with_data": "presize.deploy.labelled",
    "push_to_hub": "presize.deploy.hub",
    "set_seed": "presize.core.randomness",
    "suspects": "presize.interpret.suspects",
    "undo_moves": "presize.data.applying",
    "untar_data": "presize.data.download",
    "vision_learner": "presize.vision.learner",
}

# Home -> names: what `from presize.vision.all import *` brings of presize's own.
NOTEBOOKS = {
    "presize.augment.colour": "Brightness Contrast Hue LightingTfm Saturation",
    "presize.augment.erase": "RandomErasing",
    "presize.augment.fused": "AffineCoordTfm FusedAugment",
    "presize.augment.geometry": "Dihedral Flip RandomResizedCropGPU Rotate Warp Zoom",
    "presize.augment.policies": "RandAugment TrivialAugment",
    "presize.augment.presets": """
        aug_transforms cifar_stats imagenet_stats mnist_stats Normalize setup_aug_tfms
    """,
    "presize.callbacks.base": """
        Callback CancelBatch CancelBatchException CancelEpoch CancelEpochException CancelFit
        CancelFitException CancelStep CancelStepException CancelTrain CancelTrainException
        CancelValidate CancelValidException
    """,
    "presize.callbacks.budget": "TimeBudget",
    "presize.callbacks.checkpoint": "Checkpoints",
    "presize.callbacks.csv_logger": "CSVLogger",
    "presize.callbacks.divergence": "DivergenceWatch",
    "presize.callbacks.ema": "EMA",
    "presize.callbacks.gather": "GatherPredsCallback",
    "presize.callbacks.graph": "ShowGraph ShowGraphCallback",
    "presize.callbacks.lr_finder": "LRFinder minimum slide steep valley",
    "presize.callbacks.mixing": "CutMix CutMixUp MixUp",
    "presize.callbacks.progress": "ProgressCallback",
    "presize.callbacks.progressive": "ProgressiveResize",
    "presize.callbacks.recorder": "Recorder",
    "presize.callbacks.regularise": "GradientAccumulation GradientClip",
    "presize.callbacks.saving": """
        EarlyStoppingCallback ReduceLROnPlateau SaveModelCallback TrackerCallback
    """,
    "presize.callbacks.schedule": "ParamScheduler",
    "presize.callbacks.tensorboard": "TensorBoardCallback",
    "presize.callbacks.train_eval": "TrainEvalCallback",
    "presize.core.collections": "L",
    "presize.core.device": "default_device to_cpu to_detach to_device to_float to_half",
    "presize.core.foundation": "array exp first Inf is_listy listify log noop tensor to_np",
    "presize.core.graph": "gv",
    "presize.core.lazy": "display HTML pd plt",
    "presize.core.paths": "Path",
    "presize.core.randomness": "set_seed",
    "presize.core.pipeline": "Pipeline",
    "presize.core.ranks": "is_main",
    "presize.core.transform": "ItemTransform RandTransform Transform",
    "presize.data.albumentationstfm": "AlbumentationsTransform",
    "presize.data.blocks": """
        CategoryBlock ImageBlock MaskBlock MultiCategoryBlock PointBlock RegressionBlock
        TransformBlock
    """,
    "presize.data.category": "Category CategoryMap MultiCategory",
    "presize.data.check.folder": "check_folder",
    "presize.data.crops": "CropPad PadMode RandomCrop",
    "presize.data.datablock": "DataBlock",
    "presize.data.decisions": "Decisions",
    "presize.data.datasets": "Datasets TfmdLists",
    "presize.data.download": "untar_data",
    "presize.data.folders": "ImageDataLoaders",
    "presize.data.images": "PILBase PILImage PILImageBW PILMask",
    "presize.data.items": "FileGetter get_files get_image_files image_extensions ImageGetter",
    "presize.data.labels": "ColReader parent_label RegexLabeller using_attr",
    "presize.data.loader": "DataLoader",
    "presize.data.loaders": "DataLoaders get_c",
    "presize.data.points": "PointScaler",
    "presize.data.quarantine": "Quarantine",
    "presize.data.regression": "RegressionSetup",
    "presize.data.resize": "RandomResizedCrop RatioResize Resize ResizeMethod",
    "presize.data.splits": """
        ColSplitter EndSplitter FileSplitter FuncSplitter GrandparentSplitter IndexSplitter
        MaskSplitter RandomSplitter RandomSubsetSplitter TrainTestSplitter
    """,
    "presize.data.stream.huggingface": "hub_items",
    "presize.data.stream.shardlist": "shard_sizes",
    "presize.data.stream.shardsource": "ShardItems ShardLabel Shards",
    "presize.data.tensorise": "IntToFloatTensor ToTensor",
    "presize.data.tfmdloader": "TfmdDL",
    "presize.data.torchvisiontfm": "TorchvisionTransform",
    "presize.data.urls": "URLs",
    "presize.data.verify": "verify_image verify_images",
    "presize.data.vocab": "Categorize EncodedMultiCategorize MultiCategorize OneHotEncode",
    "presize.deploy.ensemble": "load_ensemble",
    "presize.deploy.load": "load_learner",
    "presize.folding.crossval": "cross_validate",
    "presize.folding.ensemble": "Ensemble",
    "presize.folding.outcome": "CrossValidation",
    "presize.interpret.classification": "ClassificationInterpretation",
    "presize.interpret.heat_map_overlay": "show_heat_map",
    "presize.interpret.interpretation": "Interpretation",
    "presize.interpret.label_errors": "find_label_errors",
    "presize.learner": "Learner",
    "presize.models.arch": "create_vision_model",
    "presize.models.groups": "default_split params trainable_params",
    "presize.models.head": "AdaptiveConcatPool2d create_head",
    "presize.models.zoo": """
        alexnet convnext_base convnext_large convnext_small convnext_tiny densenet121
        densenet161 densenet169 densenet201 efficientnet_b0 efficientnet_b1 efficientnet_b2
        efficientnet_b3 efficientnet_b4 efficientnet_b5 efficientnet_b6 efficientnet_b7
        efficientnet_v2_l efficientnet_v2_m efficientnet_v2_s googlenet inception_v3
        maxvit_t mnasnet0_5 mnasnet0_75 mnasnet1_0 mnasnet1_3 mobilenet_v2
        mobilenet_v3_large mobilenet_v3_small regnet_x_16gf regnet_x_1_6gf regnet_x_32gf
        regnet_x_3_2gf regnet_x_400mf regnet_x_800mf regnet_x_8gf regnet_y_128gf
        regnet_y_16gf regnet_y_1_6gf regnet_y_32gf regnet_y_3_2gf regnet_y_400mf
        regnet_y_800mf regnet_y_8gf resnet101 resnet152 resnet18 resnet34 resnet50
        resnext101_32x8d resnext101_64x4d resnext50_32x4d shufflenet_v2_x0_5
        shufflenet_v2_x1_0 shufflenet_v2_x1_5 shufflenet_v2_x2_0 squeezenet1_0 squeezenet1_1
        swin_b swin_s swin_t swin_v2_b swin_v2_s swin_v2_t vgg11 vgg11_bn vgg13 vgg13_bn
        vgg16 vgg16_bn vgg19 vgg19_bn vit_b_16 vit_b_32 vit_h_14 vit_l_16 vit_l_32
        wide_resnet101_2 wide_resnet50_2
    """,
    "presize.show": "get_grid plot_function show_image show_images show_titled_image subplots",
    "presize.tensors": """
        TensorBase TensorBBox TensorCategory TensorImage TensorImageBW TensorMask
        TensorMultiCategory TensorPoint TitledFloat TitledInt TitledStr TitledTuple
    """,
    "presize.train.class_weights": "class_weights",
    "presize.train.losses": """
        BaseLoss BCELossFlat BCEWithLogitsLossFlat CrossEntropyLossFlat FocalLoss
        FocalLossFlat L1LossFlat LabelSmoothingCrossEntropy LabelSmoothingCrossEntropyFlat
        MSELossFlat
    """,
    "presize.train.metrics": """
        AccumMetric accuracy accuracy_multi APScoreBinary APScoreMulti AvgLoss AvgMetric
        AvgSmoothLoss BalancedAccuracy BrierScore BrierScoreMulti CohenKappa
        ConfusionMatrix Dice DiceMulti error_rate exp_rmspe ExplainedVariance F1Score
        F1ScoreMulti FBeta FBetaMulti foreground_acc ForegroundAcc HammingLoss
        HammingLossMulti Jaccard JaccardCoeff JaccardCoeffMulti JaccardMulti mae
        MatthewsCorrCoef MatthewsCorrCoefMulti Metric mse msle PearsonCorrCoef Perplexity
        Precision PrecisionMulti R2Score Recall RecallMulti rmse RocAuc RocAucBinary
        RocAucMulti SpearmanCorrCoef top_k_accuracy
    """,
    "presize.train.optim": "Adam Optimizer OptimWrapper RAdam RMSProp SGD",
    "presize.train.schedule_plot": "plot_schedules",
    "presize.train.schedules": """
        combine_scheds combined_cos even_mults flat_cos one_cycle SchedCos SchedExp
        SchedLin SchedNo SchedPoly sgdr
    """,
    "presize.vision.learner": "cnn_learner vision_learner",
}
NOTEBOOK_HOMES = {name: home for home, names in NOTEBOOKS.items() for name in names.split()}
# What a notebook takes for granted and is not ours.
OTHERS = {"F", "Image", "Tensor", "nn", "np", "partial", "re", "string", "torch"}
HEAVY = ("IPython", "matplotlib", "pandas", "rich", "sklearn", "timm", "typer")


def _loaded_after(code: str, modules: tuple[str, ...]) -> list[str]:
    """Run `code` in a new interpreter and return which of the modules it has imported."""
    ask = f"{code}\nimport sys; print(*(m for m in {modules!r} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_programs_find_these_names_and_no_others():
    assert set(presize.__all__) == set(PROGRAMS)
    assert presize._HOMES == PROGRAMS
    assert set(PROGRAMS) <= set(dir(presize))


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_name_of_the_package_is_the_one_of_its_home(name):
    assert getattr(presize, name) is getattr(importlib.import_module(PROGRAMS[name]), name)


def test_an_unknown_name_of_the_package_is_corrected():
    with pytest.raises(AttributeError, match="no name 'Learnr'. Did you mean `Learner`"):
        _ = presize.Learnr


def test_notebooks_find_these_names_and_no_others():
    assert set(namespace.__all__) == set(NOTEBOOK_HOMES) | OTHERS
    assert len(namespace.__all__) == len(set(namespace.__all__))


def test_a_name_of_the_notebook_is_the_one_of_its_home():
    strangers = [
        name
        for name, home in NOTEBOOK_HOMES.items()
        if getattr(namespace, name) is not getattr(importlib.import_module(home), name)
    ]
    assert not strangers


def test_importing_the_package_imports_nothing_heavy():
    assert _loaded_after("import presize", ("torch", "numpy", *HEAVY)) == []


def test_the_star_import_leaves_plotting_and_tables_for_later():
    assert _loaded_after("from presize.vision.all import *", HEAVY) == []


def test_the_import_line_for_half_precision_runs():
    assert _loaded_after("from presize.callback.fp16 import *", ("torch",)) == []
