"""Options of every family, and what reads them from keywords."""

from __future__ import annotations

from gustibus.models.automatic_options import AutoOptions, auto_options
from gustibus.models.bt_options import BtOptions, bt_options
from gustibus.models.factors_fit import FactorOptions, factor_options
from gustibus.models.gpm_options import GpmOptions, gpm_options
from gustibus.models.hierarchical_options import HierarchicalOptions, hierarchical_options
from gustibus.models.hyre_fit import HyreOptions, hyre_options
from gustibus.models.lore_fit import LoreOptions, lore_options
from gustibus.models.mrm_fit import MrmOptions, mrm_options
from gustibus.models.nearest_fit import NearestOptions, nearest_options
from gustibus.models.pal_options import PalOptions, pal_options
from gustibus.models.ppd_options import PpdOptions, ppd_options
from gustibus.models.pro_options import ProOptions, pro_options
from gustibus.models.ridge_fit import RidgeOptions, ridge_options
from gustibus.models.vpl_options import VplOptions, vpl_options

READERS = {
    "bt": (BtOptions, bt_options), "factors": (FactorOptions, factor_options),
    "gpm": (GpmOptions, gpm_options), "hierarchical": (HierarchicalOptions, hierarchical_options),
    "hyre": (HyreOptions, hyre_options), "lore": (LoreOptions, lore_options),
    "mrm": (MrmOptions, mrm_options), "nearest": (NearestOptions, nearest_options),
    "pal": (PalOptions, pal_options), "ppd": (PpdOptions, ppd_options),
    "pro": (ProOptions, pro_options), "ridge": (RidgeOptions, ridge_options),
    "vpl": (VplOptions, vpl_options), "auto": (AutoOptions, auto_options),
}  # fmt: skip
