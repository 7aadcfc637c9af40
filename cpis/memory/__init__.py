"""The memory CPI: a whole cloud in this process, for tests and for trying plans out."""

from cpis.memory.cpi import MemoryCpi
from cpis.memory.faults import Fault

__all__ = ["Fault", "MemoryCpi"]
