#include "clinuxblock.h"
