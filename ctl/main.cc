#include "ctl/command_line.h"

int main(int argc, char** argv) { return mlad::RunCommandLine(argc, argv); }
