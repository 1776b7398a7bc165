#include <stdio.h>

int main(void) {
    puts("arkfm");
    return 0;
}
