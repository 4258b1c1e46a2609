#pragma once
#include <sys/reboot.h>
#include <sys/xattr.h>
