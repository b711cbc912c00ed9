# What reads foreign bytes, given every input that is kept in t/fuzz/corpus:
# none crashes it, makes a sanitizer speak, or makes what must hold for all
# inputs false.  "make fuzz" looks for further ones.

use FindBin;
use lib "$FindBin::Bin/lib";
use Ticket::Test;
use File::Basename qw(basename);

my $root = root_dir();
my @targets = map { basename($_, '_fuzz.c') } glob "$root/t/fuzz/*_fuzz.c";
cmp_ok scalar(@targets), '>', 0, 'there are targets';
is_deeply [map { basename($_) } glob "$root/t/fuzz/corpus/*"], \@targets, 'with inputs for each';

sub program { return "$root/.build/sanitize/t/fuzz/$_[0]_fuzz" }

for my $target (@targets) {
    my @inputs = glob "$root/t/fuzz/corpus/$target/*";
    my ($status, $out, $err) = run(program($target), @inputs);
    is $status, 0, "$target: " . @inputs . ' inputs'
        or diag "last was: ", (split /\n/, $out)[-1] // 'none', "\n$err";
    is_deeply [split /\n/, $out], \@inputs, "$target: each was tried";
}

subtest 'an input that is not there' => sub {
    my ($status, undef, $err) = run(program($targets[0]), temp_dir() . '/none');
    is $status, 2, 'is an error';
    like $err, qr{/none: cannot be read: No such file}, 'and told';
};

subtest 'without clang' => sub {
    local $ENV{CLANG} = 'clang-that-is-not-here';
    my ($status, $out, $err) = run("$root/scripts/fuzz");
    is $status, 2, 'nothing is tried';
    like $err, qr/^fuzz: there is no "clang-that-is-not-here".*scripts\/deps fuzz/, 'and it is told why';
};

done_testing;
