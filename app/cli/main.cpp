#include "core/model.h"

#include <cstdio>

int main(int argc, char** argv)
{
    try {
        if (argc != 2)
            return 2;
        const quern::Model model = quern::openModel(argv[1]);
        std::printf("%zu tensors\n", model.tensors.size());
        return 0;
    } catch (const quern::Error& error) {
        std::fprintf(stderr, "quern-cli: %s\n", error.what());
        return 1;
    }
}
