# scripts/verify-draw: the places it computes are those of the C code (both
# are held against the same vectors), a key that was not the one announced is
# refused, and so is every wrong use.

use FindBin;
use lib "$FindBin::Bin/lib";
use Digest::SHA qw(sha256_hex);
use IO::Socket::INET;
use JSON::PP qw(encode_json);
use Ticket::Test;

my $program = root_dir() . '/scripts/verify-draw';
my $key     = '00' x 31 . '07';
my $fits    = sha256_hex(pack 'H*', $key);
my $other   = sha256_hex('another key');

sub verify { return run($program, @_) }

# What the program is given by hand, some of it otherwise.
sub by_hand {
    my (%other) = @_;
    my %given = ('--key' => $key, '--entries' => 1000, '--commitment' => $fits, %other);
    return map { defined $given{$_} ? ($_, $given{$_}) : () } sort keys %given;
}

# Key => {commitment, place => {entries => {number => place}}}.
sub vectors {
    my ($now, %vectors);
    for (split /\n/, slurp(root_dir() . '/t/unit/draw_vectors.txt')) {
        if (/^key (\S+) (\S+)$/) {
            $now = $vectors{$1} = {commitment => $2};
        } elsif (/^(\d+) (\d+) (\d+)$/) {
            $now->{place}{$1}{$2} = $3;
        }
    }
    return \%vectors;
}

subtest 'vectors' => sub {
    my $vectors = vectors();
    cmp_ok keys %$vectors, '>=', 3, 'several keys';
    for my $hex (sort keys %$vectors) {
        my ($commitment, $place) = @{$vectors->{$hex}}{qw(commitment place)};
        for my $entries (sort { $a <=> $b } keys %$place) {
            my $wanted = $place->{$entries};
            my @numbers = sort { $a <=> $b } keys %$wanted;
            my ($status, $out) = verify('--key', $hex, '--entries', $entries, '--commitment', $commitment,
                map { ('--number', $_) } @numbers);
            my $expected = join '', map { "number $_ of $entries: place $wanted->{$_}\n" } @numbers;
            is "$status $out", "0 $expected", substr($hex, 0, 8) . "…, $entries entries";
        }
    }
};

subtest 'all places' => sub {
    for my $entries (1, 255, 256, 1000) {
        my ($status, $out) = verify(by_hand('--entries' => $entries), '--all');
        is $status, 0, "$entries entries";
        my %place = map { split / / } split /\n/, $out;
        is_deeply [sort { $a <=> $b } keys %place], [1 .. $entries], 'every number';
        is_deeply [sort { $a <=> $b } values %place], [1 .. $entries], 'every place';
    }
};

subtest 'another key than announced' => sub {
    my ($status, $out, $err) = verify(by_hand('--commitment' => $other), '--number', 5);
    is $status, 1, 'is refused';
    is $out, '', 'and no place is told';
    like $err, qr/key does not fit the commitment/, 'with a reason';
    is +(verify(by_hand('--commitment' => uc $fits, '--key' => uc $key), '--number', 5))[0], 0, 'upper case is the same';
};

subtest 'wrong usage' => sub {
    my %wrong = (
        'nothing'                  => [],
        'no number'                => [by_hand()],
        'number and all'           => [by_hand(), '--number', 1, '--all'],
        'an unknown option'        => [by_hand(), '--number', 1, '--place'],
        'an argument'              => [by_hand(), '--number', 1, 5],
        'no key'                   => [by_hand('--key' => undef), '--number', 1],
        'no entries'               => [by_hand('--entries' => undef), '--number', 1],
        'no commitment'            => [by_hand('--commitment' => undef), '--number', 1],
        'a key and a URL'          => ['--url', 'http://127.0.0.1:1/', '--key', $key, '--number', 1],
        'a short key'              => [by_hand('--key' => substr $key, 1), '--number', 1],
        'a key and a line'         => [by_hand('--key' => "$key\n"), '--number', 1],
        'a commitment of no digits' => [by_hand('--commitment' => 'g' x 64), '--number', 1],
        'a number beyond'          => [by_hand(), '--number', 1001],
        (map { ("entries $_" => [by_hand('--entries' => $_), '--number', 1]) } 0, '', -1, '1e3', '0x5', 33_554_432, 99_999_999_999),
        (map { ("number $_" => [by_hand(), '--number', $_]) } 0, '', -1, 1.5, 'x'),
    );
    for my $what (sort keys %wrong) {
        my ($status, $out, $err) = verify(@{$wrong{$what}});
        is $status, 2, $what;
        is $out, '', 'no place is told';
        like $err, qr/^(?:usage: verify-draw|verify-draw: )/m, 'a reason';
    }
    my ($status, $out) = verify('--help');
    is $status, 0, 'help';
    like $out, qr/^usage: verify-draw/, 'is shown';
};

# What a server may answer, by path.
my %said = (room => 'concert', epoch => 1, commitment => $fits, key => $key, entries => 1000, opens_in_ms => undef);
my %answer = (
    held    => encode_json(\%said),
    ahead   => encode_json({%said, key => undef, entries => undef, opens_in_ms => 5000}),
    cheat   => encode_json({%said, commitment => $other}),
    garbage => 'no JSON',
    list    => '[]',
    empty   => '{}',
    nested  => encode_json({%said, key => [$key]}),
    many    => encode_json({%said, entries => 1e9}),
    long    => 'x' x 1_000_000,
);

my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 5) or die "no free port: $!\n";
my $url = 'http://127.0.0.1:' . $listen->sockport;
my $server = fork() // die "fork: $!\n";
serve() if $server == 0;
close $listen;

sub serve {
    $SIG{PIPE} = 'IGNORE';
    $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP);
    while (my $client = $listen->accept) {
        my $first = <$client> // next;
        while (defined(my $line = <$client>)) { last if $line eq "\r\n" }
        my $body = $first =~ m{^GET /(\w+) } ? $answer{$1} : undef;
        print {$client} defined $body ? "HTTP/1.1 200 OK\r\n" : "HTTP/1.1 404 Not Found\r\n",
            'Content-Length: ', length($body // ''), "\r\nConnection: close\r\n\r\n", $body // '';
        close $client;
    }
    POSIX::_exit(0);
}

END {
    my $status = $?;
    if ($server) {
        kill TERM => $server;
        waitpid $server, 0;
    }
    $? = $status;
}

subtest 'from the server' => sub {
    my (undef, $place) = verify(by_hand(), '--number', 5);
    like $place, qr/^number 5 of 1000: place \d+\n\z/, 'a place';
    my ($status, $out, $err) = verify('--url', "$url/held", '--number', 5);
    is "$status $out", "0 $place", 'is the same with what the server publishes';
    like $err, qr/compare.*$fits/, 'which asks for the commitment seen before';
    ($status, $out, $err) = verify('--url', "$url/held", '--commitment', $fits, '--number', 5);
    is "$status $out$err", "0 $place", 'and does not once it was given';

    ($status, $out, $err) = verify('--url', "$url/held", '--commitment', $other, '--number', 5);
    is "$status $out", '1 ', 'a commitment noted before that does not fit is told';
    is +(verify('--url', "$url/cheat", '--number', 5))[0], 1, 'a server whose own two do not fit too';
    is +(verify('--url', "$url/cheat", '--commitment', $fits, '--number', 5))[0], 0, 'what was noted counts';

    ($status, $out, $err) = verify('--url', "$url/ahead", '--number', 5);
    is "$status $out", '3 ', 'before the draw there is nothing to check';
    like $err, qr/not been held yet.*$fits/, 'but the commitment to note';
    for my $path (qw(garbage list empty nested many long none)) {
        ($status, $out, $err) = verify('--url', "$url/$path", '--number', 5);
        is "$status $out", '3 ', $path;
        like $err, qr/^verify-draw: $url/, 'a reason';
    }
    is +(verify('--url', $_, '--number', 5))[0], 3, "no answer from $_" for 'http://127.0.0.1:1/', 'nonsense';
};

done_testing;
